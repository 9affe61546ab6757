//! What librdkafka can tell and rust-rdkafka has no call for: what this principal may do with topics, what state a group
//! is in, which member of it a consumer is; and a change of some settings of a topic that leaves the others as they are.
//!
//! Everything that comes back is copied before the answer is freed; no pointer leaves this module.

#![expect(unsafe_code, reason = "rust-rdkafka 0.39 wraps none of these calls of librdkafka")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

/// What this principal may do with a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// A topic as the broker describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicState {
    pub(crate) partitions: usize,
    /// Replicas of the partition that has fewest.
    pub(crate) replicas: usize,
    /// None when the broker does not say.
    pub(crate) allowed: Option<Allowed>,
}

/// A consumer group as its coordinator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupState {
    /// `Stable`, `Empty`, `PreparingRebalance` and so on.
    pub(crate) state: String,
    pub(crate) members: usize,
}

/// Each name with what the broker answered for it.
pub(crate) type Answers<T> = Vec<(String, Result<T, RDKafkaErrorCode>)>;

/// Describes these topics, with what this principal may do with each. Blocks.
pub(crate) fn describe_topics<C: ClientContext>(
    client: &Client<C>,
    names: &[&str],
    timeout: Duration,
) -> KafkaResult<Answers<TopicState>> {
    let operation = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    // SAFETY: client, options, queue and names are alive; librdkafka copies names, collection and options.
    let send = |request: &Request<'_, C>, names: &mut [*const c_char]| unsafe {
        let collection = Owned::new(
            c::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len()),
            c::rd_kafka_TopicCollection_destroy,
        )?;
        let Request { client, options, queue, .. } = request;
        c::rd_kafka_DescribeTopics(*client, collection.get(), options.get(), queue.get());
        Ok(())
    };
    // SAFETY: the event is of this request, and outlives every pointer taken from it here.
    describe(client, operation, names, timeout, send, |event| unsafe {
        let result = c::rd_kafka_event_DescribeTopics_result(event.get());
        answers(list(result, c::rd_kafka_DescribeTopics_result_topics), |topic| {
            let name = c::rd_kafka_TopicDescription_name(topic);
            let error = code(c::rd_kafka_TopicDescription_error(topic));
            (name, error.map_or_else(|| Ok(topic_state(topic)), Err))
        })
    })
}

/// # Safety
/// The description is alive.
unsafe fn topic_state(topic: *const c::rd_kafka_TopicDescription_t) -> TopicState {
    let mut operations = 0;
    // SAFETY: what is taken from the description lives as long as it does.
    unsafe {
        let partitions = list(topic, c::rd_kafka_TopicDescription_partitions);
        let replicas = partitions
            .iter()
            .map(|partition| list(*partition, c::rd_kafka_TopicPartitionInfo_replicas).len());
        let allowed = c::rd_kafka_TopicDescription_authorized_operations(topic, &mut operations);
        TopicState {
            partitions: partitions.len(),
            replicas: replicas.min().unwrap_or(0),
            allowed: allowed_of(allowed, operations),
        }
    }
}

/// Describes these groups. Waits for a coordinator that has just come up.
/// Blocks. Not for a process that is to stay, which it can end: [`crate::group`] says how.
pub(crate) fn describe_groups<C: ClientContext>(
    client: &Client<C>,
    names: &[&str],
    timeout: Duration,
) -> KafkaResult<Answers<GroupState>> {
    let deadline = Instant::now() + timeout;
    loop {
        let answers = ask_for_groups(client, names, timeout);
        let passing = match &answers {
            Ok(answers) => answers.iter().any(|(_, answer)| answer.as_ref().err().is_some_and(is_passing)),
            Err(error) => error.rdkafka_error_code().as_ref().is_some_and(is_passing),
        };
        if !passing || Instant::now() >= deadline {
            return answers;
        }
        std::thread::sleep(AGAIN);
    }
}

/// Between two questions to a coordinator that has just come up.
const AGAIN: Duration = Duration::from_millis(100);

fn is_passing(code: &RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(code, Code::CoordinatorLoadInProgress | Code::CoordinatorNotAvailable | Code::NotCoordinator)
}

fn ask_for_groups<C: ClientContext>(
    client: &Client<C>,
    names: &[&str],
    timeout: Duration,
) -> KafkaResult<Answers<GroupState>> {
    let operation = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    // SAFETY: client, options, queue and names are alive; librdkafka copies names and options.
    let send = |request: &Request<'_, C>, names: &mut [*const c_char]| unsafe {
        let Request { client, options, queue, .. } = request;
        let (names, count) = (names.as_mut_ptr(), names.len());
        c::rd_kafka_DescribeConsumerGroups(*client, names, count, options.get(), queue.get());
        Ok(())
    };
    // SAFETY: the event is of this request, and outlives every pointer taken from it here.
    describe(client, operation, names, timeout, send, |event| unsafe {
        let result = c::rd_kafka_event_DescribeConsumerGroups_result(event.get());
        answers(list(result, c::rd_kafka_DescribeConsumerGroups_result_groups), |group| {
            let name = c::rd_kafka_ConsumerGroupDescription_group_id(group);
            let error = code(c::rd_kafka_ConsumerGroupDescription_error(group));
            (name, error.map_or_else(|| Ok(group_state(group)), Err))
        })
    })
}

/// # Safety
/// The description is alive.
unsafe fn group_state(group: *const c::rd_kafka_ConsumerGroupDescription_t) -> GroupState {
    // SAFETY: what is taken from the description lives as long as it does.
    unsafe {
        let state = c::rd_kafka_ConsumerGroupDescription_state(group);
        GroupState {
            state: text(c::rd_kafka_consumer_group_state_name(state)),
            members: c::rd_kafka_ConsumerGroupDescription_member_count(group),
        }
    }
}

/// Has things of these names described: `send` asks for them, `read` copies what came.
fn describe<'c, C: ClientContext, T>(
    client: &'c Client<C>,
    operation: c::rd_kafka_admin_op_t,
    names: &[&str],
    timeout: Duration,
    send: impl FnOnce(&Request<'c, C>, &mut [*const c_char]) -> KafkaResult<()>,
    read: impl FnOnce(Owned<c::rd_kafka_event_t>) -> Answers<T>,
) -> KafkaResult<Answers<T>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<CString> = names.iter().map(|name| c_string(name)).collect::<KafkaResult<_>>()?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let mut request = Request::new(client, operation, timeout)?;
    request.with_authorized_operations()?;
    send(&request, &mut pointers)?;
    Ok(read(request.answer()?))
}

/// Copies the name of each thing, and what was answered for it.
///
/// # Safety
/// The names that `read` gives are alive.
unsafe fn answers<D, T>(
    things: &[*const D],
    read: impl Fn(*const D) -> (*const c_char, Result<T, RDKafkaErrorCode>),
) -> Answers<T> {
    let answer = |thing: &*const D| {
        let (name, answer) = read(*thing);
        // SAFETY: the caller promises it.
        (unsafe { text(name) }, answer)
    };
    things.iter().map(answer).collect()
}

/// The id by which the group knows this consumer; empty between two memberships.
pub(crate) fn member_id<C: ClientContext>(client: &Client<C>) -> String {
    // SAFETY: the client is alive; what is given back is null or a string that is ours until it is freed, once.
    unsafe {
        let id = c::rd_kafka_memberid(client.native_ptr());
        let text = text(id);
        if !id.is_null() {
            c::rd_kafka_mem_free(client.native_ptr(), id.cast());
        }
        text
    }
}

/// Sets these settings of these topics; every other setting stays as it is. Blocks.
pub(crate) fn alter_topics<C: ClientContext>(
    client: &Client<C>,
    changes: &[(&str, Vec<(&str, String)>)],
    timeout: Duration,
) -> KafkaResult<Answers<()>> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let operation = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS;
    let request = Request::new(client, operation, timeout)?;
    let mut resources = Vec::with_capacity(changes.len());
    for (topic, settings) in changes {
        let name = c_string(topic)?;
        // SAFETY: librdkafka copies the name.
        let resource = unsafe {
            Owned::new(
                c::rd_kafka_ConfigResource_new(
                    c::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC,
                    name.as_ptr(),
                ),
                c::rd_kafka_ConfigResource_destroy,
            )
        }?;
        for (setting, value) in settings {
            let (setting, value) = (c_string(setting)?, c_string(value)?);
            let set = c::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET;
            // SAFETY: the resource is alive; librdkafka copies both strings.
            unsafe {
                let error = c::rd_kafka_ConfigResource_add_incremental_config(
                    resource.get(),
                    setting.as_ptr(),
                    set,
                    value.as_ptr(),
                );
                taken(error)?;
            }
        }
        resources.push(resource);
    }
    let mut pointers: Vec<_> = resources.iter().map(Owned::get).collect();
    // SAFETY: client, resources, options and queue are alive; librdkafka copies resources and options.
    unsafe {
        c::rd_kafka_IncrementalAlterConfigs(
            request.client,
            pointers.as_mut_ptr(),
            pointers.len(),
            request.options.get(),
            request.queue.get(),
        );
    }
    let event = request.answer()?;
    // SAFETY: the event is of this request, and outlives every pointer taken from it below.
    unsafe {
        let result = c::rd_kafka_event_IncrementalAlterConfigs_result(event.get());
        Ok(answers(list(result, c::rd_kafka_IncrementalAlterConfigs_result_resources), |resource| {
            let error = RDKafkaErrorCode::from(c::rd_kafka_ConfigResource_error(resource));
            let outcome = if error == RDKafkaErrorCode::NoError { Ok(()) } else { Err(error) };
            (c::rd_kafka_ConfigResource_name(resource), outcome)
        }))
    }
}

/// Something of librdkafka's that is freed with this value.
struct Owned<T> {
    pointer: NonNull<T>,
    free: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// # Safety
    /// `pointer` is null or owned by the caller, and `free` is the function that frees it.
    unsafe fn new(pointer: *mut T, free: unsafe extern "C" fn(*mut T)) -> KafkaResult<Self> {
        match NonNull::new(pointer) {
            Some(pointer) => Ok(Self { pointer, free }),
            None => Err(KafkaError::AdminOpCreation("librdkafka gave no object".to_owned())),
        }
    }

    fn get(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `new` was promised that the pointer is ours and that this frees it; it is freed once.
        unsafe { (self.free)(self.get()) }
    }
}

/// One call of the admin API, on a queue of its own. It borrows the client, so that it cannot outlive it.
struct Request<'c, C: ClientContext> {
    client: *mut c::rd_kafka_t,
    options: Owned<c::rd_kafka_AdminOptions_t>,
    queue: Owned<c::rd_kafka_queue_t>,
    timeout: Duration,
    _client: &'c Client<C>,
}

/// librdkafka answers within the request's timeout; this is for the way there.
const MARGIN_MS: c_int = 5_000;

impl<'c, C: ClientContext> Request<'c, C> {
    fn new(client: &'c Client<C>, operation: c::rd_kafka_admin_op_t, timeout: Duration) -> KafkaResult<Self> {
        let native = client.native_ptr();
        // SAFETY: the client is alive, and each function frees what the one beside it made.
        let (options, queue) = unsafe {
            (
                Owned::new(
                    c::rd_kafka_AdminOptions_new(native, operation),
                    c::rd_kafka_AdminOptions_destroy,
                )?,
                Owned::new(c::rd_kafka_queue_new(native), c::rd_kafka_queue_destroy)?,
            )
        };
        let mut reason = [0; 256];
        // SAFETY: the options are alive, and the buffer is as long as it is said to be.
        let error = unsafe {
            c::rd_kafka_AdminOptions_set_request_timeout(
                options.get(),
                millis(timeout),
                reason.as_mut_ptr(),
                reason.len(),
            )
        };
        match RDKafkaErrorCode::from(error) {
            RDKafkaErrorCode::NoError => {
                Ok(Self { client: native, options, queue, timeout, _client: client })
            }
            code => Err(KafkaError::AdminOp(code)),
        }
    }

    fn with_authorized_operations(&mut self) -> KafkaResult<()> {
        // SAFETY: the options are alive; an error that is given back is ours.
        unsafe { taken(c::rd_kafka_AdminOptions_set_include_authorized_operations(self.options.get(), 1)) }
    }

    /// Waits for the answer.
    fn answer(&self) -> KafkaResult<Owned<c::rd_kafka_event_t>> {
        let timeout = millis(self.timeout).saturating_add(MARGIN_MS);
        // SAFETY: the queue is alive; an event that is given back is ours.
        let event = unsafe { c::rd_kafka_queue_poll(self.queue.get(), timeout) };
        // SAFETY: as above; this function frees events.
        let event = unsafe { Owned::new(event, c::rd_kafka_event_destroy) }
            .map_err(|_| KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))?;
        // SAFETY: the event is alive.
        match RDKafkaErrorCode::from(unsafe { c::rd_kafka_event_error(event.get()) }) {
            RDKafkaErrorCode::NoError => Ok(event),
            code => Err(KafkaError::AdminOp(code)),
        }
    }
}

fn millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX)
}

fn c_string(text: &str) -> KafkaResult<CString> {
    CString::new(text).map_err(|_| KafkaError::AdminOpCreation("a name holds a zero byte".to_owned()))
}

/// # Safety
/// `pointer` is null or a string that ends with a zero byte.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: it is not null, and the caller promises the rest.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// What `get` finds in `owner`: values and their number.
///
/// # Safety
/// `owner` is what `get` takes, and outlives the list.
unsafe fn list<'a, O, T>(
    owner: *const O,
    get: unsafe extern "C" fn(*const O, *mut usize) -> *mut T,
) -> &'a [T] {
    let mut count = 0;
    // SAFETY: the caller promises it; values that are not null are as many as is said.
    unsafe {
        let first = get(owner, &mut count);
        if first.is_null() { &[] } else { std::slice::from_raw_parts(first, count) }
    }
}

/// The code of an error that stays librdkafka's; none when all is well.
///
/// # Safety
/// `error` is null or alive.
unsafe fn code(error: *const c::rd_kafka_error_t) -> Option<RDKafkaErrorCode> {
    if error.is_null() {
        return None;
    }
    // SAFETY: it is not null, and the caller promises the rest.
    let code = RDKafkaErrorCode::from(unsafe { c::rd_kafka_error_code(error) });
    (code != RDKafkaErrorCode::NoError).then_some(code)
}

/// Frees an error that was given back.
///
/// # Safety
/// `error` is null or owned by the caller.
unsafe fn taken(error: *mut c::rd_kafka_error_t) -> KafkaResult<()> {
    // SAFETY: null or alive, as the caller promises; freed once.
    unsafe {
        let code = code(error);
        if !error.is_null() {
            c::rd_kafka_error_destroy(error);
        }
        code.map_or(Ok(()), |code| Err(KafkaError::AdminOp(code)))
    }
}

/// # Safety
/// `operations` is null, or leads to `count` values.
unsafe fn allowed_of(operations: *const c::rd_kafka_AclOperation_t, count: usize) -> Option<Allowed> {
    use c::rd_kafka_AclOperation_t as Operation;
    if operations.is_null() {
        return None;
    }
    // SAFETY: it is not null, and the caller promises the rest.
    let operations = unsafe { std::slice::from_raw_parts(operations, count) };
    let holds =
        |wanted| operations.contains(&wanted) || operations.contains(&Operation::RD_KAFKA_ACL_OPERATION_ALL);
    Some(Allowed {
        read: holds(Operation::RD_KAFKA_ACL_OPERATION_READ),
        write: holds(Operation::RD_KAFKA_ACL_OPERATION_WRITE),
    })
}
