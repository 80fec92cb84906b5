//! `isolation`: what the Docker face says of its requests, with and without a version of the API.

use strata_docker::{INSTANT, SHARED, Shape, WAITING};

use super::Typed;
use crate::bindings::exports::strata::image::isolation as wit;

impl wit::Guest for Typed {
    fn shapes() -> Vec<wit::Shape> {
        let instant = INSTANT.iter().map(|shape| (shape, wit::Company::Instant));
        let shared = SHARED.iter().map(|shape| (shape, wit::Company::Shared));
        let waiting = WAITING.iter().map(|shape| (shape, wit::Company::Waiting));
        instant
            .chain(shared)
            .chain(waiting)
            .flat_map(both)
            .collect()
    }
}

fn both((shape, company): (&Shape, wit::Company)) -> [wit::Shape; 2] {
    ["", "/v*"].map(|version| wit::Shape {
        method: shape.method.to_owned(),
        path: format!("{version}{}", shape.path),
        company,
        unless: shape.unless.iter().map(|&name| name.to_owned()).collect(),
    })
}
