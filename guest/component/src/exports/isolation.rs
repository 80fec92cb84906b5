//! `isolation`: what the Docker face says of its requests.

use strata_http::Company;

use super::Exports;
use crate::bindings::exports::strata::image::isolation as wit;

impl wit::Guest for Exports {
    fn shapes() -> Vec<wit::Shape> {
        let shapes = strata_docker::shapes().map(|shape| wit::Shape {
            method: shape.method.to_owned(),
            path: shape.path,
            company: match shape.company {
                Company::Instant => wit::Company::Instant,
                Company::Shared => wit::Company::Shared,
                Company::Waiting => wit::Company::Waiting,
            },
            unless: shape.unless.iter().map(|&name| name.to_owned()).collect(),
        });
        shapes.collect()
    }
}
