//! JSON objects whose members clients count on.

use serde::{
    Serialize, Serializer,
    ser::{Error, SerializeMap},
};
use serde_json::value::RawValue;
use strata_oci::json::Members;

/// Members with what stands for each of them when it is not given, in JSON.
pub(super) type Defaults = &'static [(&'static str, &'static str)];

/// An object as it was given, in which nothing clients read is missing and nothing they do not know is
/// left.
pub(super) struct Filled<'a> {
    pub(super) given: &'a Members,
    /// Members that are always there.
    pub(super) defaults: Defaults,
    /// Members that are only there when given.
    pub(super) optional: &'static [&'static str],
    /// Members with another value than given, in JSON.
    pub(super) replaced: Vec<(&'static str, Box<RawValue>)>,
}

impl Serialize for Filled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, default) in self.defaults {
            let replaced = self.replaced.iter().find(|(replaced, _)| replaced == key);
            match (replaced, self.given.get(key)) {
                (Some((_, value)), _) => map.serialize_entry(key, value)?,
                (_, Some(value)) => map.serialize_entry(key, value)?,
                (_, None) => {
                    let value: &RawValue = serde_json::from_str(default).map_err(Error::custom)?;
                    map.serialize_entry(key, value)?;
                }
            }
        }
        for key in self.optional {
            if let Some(value) = self.given.get(key) {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}
