//! All operations at once, with everything that may go wrong: clients that leave or stand still, operations that end
//! at their limits, kills of servers and commands, damage at rest. At the end every blob and every name is right,
//! nothing is locked or protected, and nothing of it was worth an ERROR in the log.
//!
//! `STRATA_SOAK_SEED` chooses the mix, `STRATA_SOAK_ROUNDS` how long it goes on.

mod commands;
mod containers;
mod damage;
mod hostile;
mod images;
mod leaving;
mod model;
mod saved;
mod settle;
mod tally;
mod worker;
mod world;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use std::sync::Arc;
use std::time::Duration;
use strata_tests::dice::Dice;
use strata_tests::server::Server;
use worker::Worker;
use world::{Scarce, Seat, World};

const SEED: u64 = 20_260_101;
/// Servers one after another. The last of them is not killed and has to end with an empty store.
const ROUNDS: u64 = 13;
/// Clients at once.
const WORKERS: usize = 6;
/// What each of them does on each server.
const STEPS: u64 = 200;
/// What is scarce, by turns.
const SCARCE: [Scarce; 5] = [
    Scarce::Nothing,
    Scarce::Memory,
    Scarce::Patience,
    Scarce::Places,
    Scarce::Time,
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_at_once_all_ends_well() -> Result<()> {
    let (seed, rounds) = (
        number("STRATA_SOAK_SEED", SEED)?,
        number("STRATA_SOAK_ROUNDS", ROUNDS)?,
    );
    eprintln!("seed {seed}, {rounds} rounds");
    let world = Arc::new(World::new().await?);
    let ended = soak(&world, seed, rounds).await;
    eprint!("{}", world.tally);
    ended.with_context(|| format!("STRATA_SOAK_SEED={seed} STRATA_SOAK_ROUNDS={rounds}"))?;
    world.is_quiet()?;
    if rounds >= ROUNDS {
        for fault in FAULTS {
            ensure!(world.tally.faults(fault) > 0, "{fault}: none");
        }
    }
    Ok(())
}

/// What has to go wrong in a run that is long enough.
const FAULTS: [&str; 16] = [
    "bits flipped",
    "blobs cut short",
    "blobs deleted",
    "commands killed",
    "downloads left",
    "downloads stalled",
    "ended by the compute limit",
    "ended by the memory limit",
    "ended with the server",
    "requests left",
    "servers killed",
    "servers killed at work",
    "servers stopped",
    "turned away",
    "uploads left",
    "uploads stalled",
];

fn number(variable: &str, otherwise: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text}")),
        Err(_) => Ok(otherwise),
    }
}

async fn soak(world: &Arc<World>, seed: u64, rounds: u64) -> Result<()> {
    let mut dice = Dice::new(seed);
    let mut workers = Vec::new();
    for round in 0..rounds {
        let last = round + 1 == rounds;
        let scarce = match last {
            true => Scarce::Everything,
            false => SCARCE[usize::try_from(round)? % SCARCE.len()],
        };
        let what = || format!("round {round}, scarce: {scarce:?}");
        let server = Server::start(world.store(), &scarce.args())
            .await
            .with_context(what)?;
        let seat = Arc::new(Seat::new(world, &server, scarce));
        if round == 0 {
            server.pull(&world.large).await?.ok()?;
            for number in 0..WORKERS {
                workers.push(Worker::new(world, &seat, number).await?);
            }
        }
        let settled = settle::settle(world, &mut workers, &seat, false).await;
        settled.with_context(|| format!("before {}", what()))?;
        let end = (!last).then(|| match dice.below(3) {
            0 => (Signal::TERM, "servers stopped"),
            _ => (Signal::KILL, "servers killed"),
        });
        let work = Work {
            seat: &seat,
            server: &server,
            seed: seed.wrapping_add(round * 1000),
            end,
        };
        let done = work.done(world, &mut workers, &mut dice).await;
        done.with_context(what)?;
        if last {
            let settled = settle::settle(world, &mut workers, &seat, true).await;
            settled.context("at the end")?;
            settle::empties(world, &mut workers, &seat).await?;
        }
        // A second signal would end it less patiently.
        if !seat.is_gone() {
            server.signal(Signal::TERM)?;
        }
        let (status, log) = server.ended().await?;
        world.said(&log);
        let killed = end.is_some_and(|(signal, _)| signal == Signal::KILL) && seat.is_gone();
        ensure!(
            killed || status.success(),
            "{}: ended with {status}",
            what()
        );
    }
    Ok(())
}

/// What all workers do on one server.
struct Work<'a> {
    seat: &'a Arc<Seat>,
    server: &'a Server,
    seed: u64,
    end: Option<(Signal, &'static str)>,
}

impl Work<'_> {
    async fn done(self, world: &World, workers: &mut [Worker], dice: &mut Dice) -> Result<()> {
        let tasks = workers
            .iter_mut()
            .map(|worker| worker.works(self.seat, self.seed, STEPS));
        let mut tasks = futures::future::try_join_all(tasks);
        let all = STEPS * WORKERS as u64;
        let begun = usize::try_from(all / 4 + dice.below(all / 3))?;
        let moment = Duration::from_micros(dice.below(20_000));
        let killer = async {
            let Some((signal, fault)) = self.end else {
                return std::future::pending::<Result<()>>().await;
            };
            self.seat.begun(begun).await;
            // The moment is the point here, not a condition to wait for: any of them must be survived.
            tokio::time::sleep(moment).await;
            let met = self.seat.goes();
            self.server.signal(signal)?;
            world.tally.fault(fault);
            if met > 0 && signal == Signal::KILL {
                world.tally.fault("servers killed at work");
            }
            Ok(())
        };
        tokio::select! {
            ended = &mut tasks => drop(ended?),
            ended = killer => {
                ended?;
                tasks.await?;
            }
        }
        Ok(())
    }
}
