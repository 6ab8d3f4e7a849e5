//! `status`: progress, and whether to stop. Never waits.

use crate::bindings::bulkhead::plugin::status;
use crate::state::State;

impl status::Host for State {
    fn progress(&mut self, done: u64, total: Option<u64>) -> wasmtime::Result<()> {
        self.count_call()?;
        if let Some(host) = &self.host {
            host.set_progress(done, total);
        }
        Ok(())
    }

    fn message(&mut self, text: String) -> wasmtime::Result<()> {
        self.count_call()?;
        if let Some(host) = &self.host {
            host.set_status(&text);
        }
        Ok(())
    }

    fn cancelled(&mut self) -> wasmtime::Result<bool> {
        self.count_call()?;
        Ok(self.host.as_ref().is_some_and(|host| host.cancelled().is_cancelled()))
    }
}
