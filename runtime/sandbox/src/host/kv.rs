//! The import `kv`: small hints of the connection.

use super::{Live, State};
use crate::bindings::kv::{self, Fault};
use crate::context::Kv;

/// Bytes of a key.
const KEY_BYTES_MAX: usize = 256;
/// Keys of one answer.
const KEYS_MAX: u32 = 1_000;

impl kv::Host for State {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Fault>> {
        let live = self.enter()?;
        Ok(live.kv_read(&key).await)
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), Fault>> {
        let live = self.enter()?;
        Ok(live.kv_write(&key, &value).await)
    }

    async fn remove(&mut self, key: String) -> wasmtime::Result<Result<(), Fault>> {
        let live = self.enter()?;
        Ok(live.kv_forget(&key).await)
    }

    async fn keys(
        &mut self,
        prefix: String,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<String>, Fault>> {
        let live = self.enter()?;
        Ok(live.kv_list(&prefix, limit.min(KEYS_MAX)).await)
    }
}

impl Live {
    async fn kv_read(&mut self, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        let Kv { store, scope } = self.kv(key)?;
        let value = store.kv_get(&scope, key).await.map_err(unavailable)?;
        self.charge(value.as_ref().map_or(0, Vec::len))?;
        Ok(value)
    }

    async fn kv_write(&mut self, key: &str, value: &[u8]) -> Result<(), Fault> {
        let Kv { store, scope } = self.kv(key)?;
        if value.len() > self.context.caps.kv_value_bytes_max {
            return Err(Fault::TooLarge);
        }
        self.charge(key.len() + value.len())?;
        let held = store.kv_bytes(&scope).await.map_err(unavailable)?;
        let more = (key.len() + value.len()) as u64;
        if held.saturating_add(more) > self.context.caps.kv_scope_bytes_max {
            return Err(Fault::Quota);
        }
        store.kv_set(&scope, key, value).await.map_err(unavailable)
    }

    async fn kv_forget(&mut self, key: &str) -> Result<(), Fault> {
        let Kv { store, scope } = self.kv(key)?;
        store.kv_remove(&scope, key).await.map_err(unavailable)
    }

    async fn kv_list(&mut self, prefix: &str, limit: u32) -> Result<Vec<String>, Fault> {
        let Kv { store, scope } = self.kv(prefix)?;
        let keys = store
            .kv_keys(&scope, prefix, limit)
            .await
            .map_err(unavailable)?;
        self.charge(keys.iter().map(String::len).sum())?;
        Ok(keys)
    }

    fn kv(&self, key: &str) -> Result<Kv, Fault> {
        if key.len() > KEY_BYTES_MAX {
            return Err(Fault::TooLarge);
        }
        self.context
            .kv
            .clone()
            .ok_or_else(|| Fault::Unavailable("this call has no hints".to_owned()))
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Fault> {
        self.kv_bytes = self.kv_bytes.saturating_add(bytes as u64);
        if self.kv_bytes > self.context.caps.kv_call_bytes_max {
            return Err(Fault::Quota);
        }
        Ok(())
    }
}

/// The guest learns no more: hints may always be missing.
fn unavailable(error: tidegate_store::Error) -> Fault {
    tracing::warn!(error = %error, "the hints of a connection could not be reached");
    Fault::Unavailable("the store does not answer".to_owned())
}
