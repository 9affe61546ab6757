//! How much freed memory the process keeps.
//!
//! librdkafka allocates with the C library, in buffers of up to the size of a batch, and in threads of its own. glibc
//! raises the size from which an allocation is a mapping of its own up to 32 MiB as such buffers come and go, and then
//! keeps them in an arena a thread: a consumer held 110 MiB of freed buffers.

/// Has the C library return large freed buffers at once, and the end of a heap from four mebibytes on.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn give_back() {
    #![expect(unsafe_code, reason = "no safe crate sets malloc's parameters")]
    /// The buffers that make the difference are whole answers to a fetch. Naming it keeps it from growing.
    const OWN_MAPPING: libc::c_int = 1 << 20;
    const TRIM: libc::c_int = 4 << 20;
    const ARENAS: libc::c_int = 2;
    for (parameter, value) in
        [(libc::M_MMAP_THRESHOLD, OWN_MAPPING), (libc::M_TRIM_THRESHOLD, TRIM), (libc::M_ARENA_MAX, ARENAS)]
    {
        // SAFETY: it takes two numbers and may be called at any time, by any thread. What it refuses stays as it was.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Other C libraries are left alone.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn give_back() {}
