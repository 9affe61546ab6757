//! A certificate authority of its own, made at start, so that no key is ever on disk.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::server::Error;

/// What a client must trust, and what the server presents.
pub(crate) struct Identity {
    /// The authority's certificate, PEM.
    pub(crate) authority_pem: String,
    /// The server side of a TLS handshake.
    pub(crate) acceptor: TlsAcceptor,
}

impl Identity {
    /// Makes an authority and a certificate for `names` (DNS names or addresses) signed by it.
    pub(crate) fn generate(names: Vec<String>) -> Result<Self, Error> {
        let authority_key = KeyPair::generate().map_err(Error::certificate)?;
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "Wardstream mail sink");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority_pem = authority.self_signed(&authority_key).map_err(Error::certificate)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let key = KeyPair::generate().map_err(Error::certificate)?;
        let mut leaf = CertificateParams::new(names).map_err(Error::certificate)?;
        leaf.distinguished_name.push(DnType::CommonName, "Wardstream mail sink server");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = leaf.signed_by(&key, &issuer).map_err(Error::certificate)?;

        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(Error::certificate)?;
        // The provider is named: with two providers linked into one binary rustls refuses to choose.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::certificate)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(Error::certificate)?;
        Ok(Self { authority_pem, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}
