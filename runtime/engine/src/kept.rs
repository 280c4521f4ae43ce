//! What is costly to make is kept, bounded, and made once however many ask for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Values by key. When it is full it forgets everything: that costs a few makings, and
/// needs no record of use.
pub(crate) struct Kept<K, V> {
    places: Mutex<HashMap<K, Arc<OnceCell<V>>>>,
    max: usize,
}

impl<K: Hash + Eq, V: Clone> Kept<K, V> {
    pub(crate) fn new(max: usize) -> Self {
        Kept {
            places: Mutex::default(),
            max,
        }
    }

    /// The value, made by the first who asks. A failure is not kept.
    pub(crate) async fn or_make<E, F>(&self, key: K, make: impl FnOnce() -> F) -> Result<V, E>
    where
        F: Future<Output = Result<V, E>>,
    {
        let place = self.place(key);
        Ok(place.get_or_try_init(make).await?.clone())
    }

    fn place(&self, key: K) -> Arc<OnceCell<V>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= self.max && !places.contains_key(&key) {
            places.clear();
        }
        Arc::clone(places.entry(key).or_default())
    }
}
