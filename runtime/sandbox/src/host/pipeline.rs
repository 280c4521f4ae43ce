//! Requests that a guest queues and collects in the order in which they finish.

use super::State;
use super::http::{joined, to_broker};
use crate::bindings::http::{self, Fault};
use crate::error::{Stop, stop};
use std::collections::VecDeque;
use tidegate_broker::{FetchFault, Request, Response};
use tokio::task::JoinSet;
use wasmtime::component::Resource;

/// Dropping it cancels what is queued or running.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Pipeline {
    max_in_flight: usize,
    next_ticket: u32,
    queued: VecDeque<(u32, Request)>,
    refused: VecDeque<(u32, Fault)>,
    running: JoinSet<(u32, Result<Response, FetchFault>)>,
}

impl Pipeline {
    fn pending(&self) -> usize {
        self.queued.len() + self.refused.len() + self.running.len()
    }
}

impl http::HostPipeline for State {
    async fn new(&mut self, max_in_flight: u32) -> wasmtime::Result<Resource<Pipeline>> {
        let in_flight_max = self.enter()?.context.caps.in_flight_max;
        let pipeline = Pipeline {
            max_in_flight: max_in_flight.clamp(1, in_flight_max) as usize,
            next_ticket: 0,
            queued: VecDeque::new(),
            refused: VecDeque::new(),
            running: JoinSet::new(),
        };
        match self.table.push(pipeline) {
            Ok(pipeline) => Ok(pipeline),
            Err(_) => stop(Stop::Limit(format!("{} open handles", super::HANDLES_MAX))),
        }
    }

    async fn submit(
        &mut self,
        pipeline: Resource<Pipeline>,
        request: http::Request,
    ) -> wasmtime::Result<u32> {
        let live = self.enter()?;
        live.note_fetch();
        let queued_max = live.context.caps.queued_max;
        let waiting = self.table.get_mut(&pipeline)?;
        if waiting.pending() >= queued_max {
            return stop(Stop::Limit(format!(
                "{queued_max} requests in one pipeline"
            )));
        }
        let ticket = waiting.next_ticket;
        waiting.next_ticket = ticket.wrapping_add(1);
        match to_broker(request) {
            Ok(request) => waiting.queued.push_back((ticket, request)),
            Err(fault) => waiting.refused.push_back((ticket, fault)),
        }
        self.fill(&pipeline)?;
        Ok(ticket)
    }

    async fn next(
        &mut self,
        pipeline: Resource<Pipeline>,
    ) -> wasmtime::Result<Option<(u32, Result<http::Response, Fault>)>> {
        self.enter()?;
        self.fill(&pipeline)?;
        let waiting = self.table.get_mut(&pipeline)?;
        if let Some((ticket, fault)) = waiting.refused.pop_front() {
            return Ok(Some((ticket, Err(fault))));
        }
        let Some(finished) = waiting.running.join_next().await else {
            return Ok(None);
        };
        self.fill(&pipeline)?;
        let Ok((ticket, fetched)) = finished else {
            // The task was stopped: only a closing host does that.
            return stop(Stop::Closed);
        };
        let response = self.hand_over(fetched)?;
        Ok(Some((ticket, response)))
    }

    async fn pending(&mut self, pipeline: Resource<Pipeline>) -> wasmtime::Result<u32> {
        self.enter()?;
        let pending = self.table.get(&pipeline)?.pending();
        Ok(u32::try_from(pending).unwrap_or(u32::MAX))
    }

    async fn drop(&mut self, pipeline: Resource<Pipeline>) -> wasmtime::Result<()> {
        self.table.delete(pipeline)?;
        Ok(())
    }
}

impl State {
    /// Starts what is queued, as far as may be in flight.
    fn fill(&mut self, pipeline: &Resource<Pipeline>) -> wasmtime::Result<()> {
        let State { table, live, .. } = self;
        let pipeline = table.get_mut(pipeline)?;
        let Some(live) = live.as_deref() else {
            return Ok(());
        };
        while pipeline.running.len() < pipeline.max_in_flight {
            let Some((ticket, request)) = pipeline.queued.pop_front() else {
                break;
            };
            let sent = live.way_out.start(request);
            let answer = async move { (ticket, joined(sent.await)) };
            pipeline.running.spawn_on(answer, &live.way_out.io);
        }
        Ok(())
    }
}
