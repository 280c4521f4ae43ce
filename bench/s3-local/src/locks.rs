//! Which requests wait for one another: writers of one key wait for all, readers
//! of it for writers.
//!
//! The storage checks a condition, writes the body and then the metadata, in that
//! order and without a lock. So a conditional put is only atomic, and an object
//! only whole, if nobody else works on the key meanwhile.

use hyper::http::{Method, Uri};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Keys share this many locks; two keys on one lock wait for each other in vain,
/// but the memory is bounded.
const STRIPES: usize = 1024;

/// A lock per key, near enough.
pub(crate) struct Locks {
    stripes: Vec<Arc<RwLock<()>>>,
    hasher: RandomState,
}

/// Held while a request is worked on.
#[expect(dead_code, reason = "the guards act by being dropped")]
pub(crate) enum Hold {
    Nothing,
    Read(OwnedRwLockReadGuard<()>),
    Write(OwnedRwLockWriteGuard<()>),
}

impl Locks {
    pub(crate) fn new() -> Locks {
        Locks {
            stripes: (0..STRIPES).map(|_| Arc::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Waits until a request with this method and address may run. A part of a
    /// multipart upload touches nothing that others see, so parts do not wait.
    pub(crate) async fn hold(&self, method: &Method, uri: &Uri) -> Hold {
        let part = uri
            .query()
            .is_some_and(|query| query.contains("partNumber="));
        if part {
            return Hold::Nothing;
        }
        let stripe = self.hasher.hash_one(uri.path()) % self.stripes.len() as u64;
        let lock = Arc::clone(&self.stripes[stripe as usize]);
        if *method == Method::GET || *method == Method::HEAD {
            Hold::Read(lock.read_owned().await)
        } else {
            Hold::Write(lock.write_owned().await)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn ready(future: impl Future<Output = Hold>) -> Option<Hold> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(hold) => Some(hold),
            Poll::Pending => None,
        }
    }

    #[test]
    fn writers_of_a_key_exclude_everyone_and_parts_nobody() {
        let locks = Locks::new();
        let key = Uri::from_static("/b/key");
        let part = Uri::from_static("/b/key?partNumber=2&uploadId=u");
        let table = [
            ("read beside read", Method::GET, Method::HEAD, &key, true),
            ("write beside read", Method::GET, Method::PUT, &key, false),
            ("read beside write", Method::PUT, Method::GET, &key, false),
            ("write beside write", Method::PUT, Method::POST, &key, false),
            (
                "delete beside write",
                Method::PUT,
                Method::DELETE,
                &key,
                false,
            ),
            ("part beside write", Method::PUT, Method::PUT, &part, true),
        ];
        for (name, first, second, uri, both) in table {
            let held = ready(locks.hold(&first, &key));
            assert!(held.is_some(), "{name}");
            assert_eq!(ready(locks.hold(&second, uri)).is_some(), both, "{name}");
            drop(held);
            assert!(ready(locks.hold(&second, uri)).is_some(), "{name}, freed");
        }
    }
}
