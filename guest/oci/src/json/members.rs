//! Objects whose members are kept as they were written: what nobody here needs to understand.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::from_slice;

/// The members of a JSON object in their order. Names are compared as Go compares them, in any case.
#[derive(Debug, Default)]
pub struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// Reads an object; anything else has no members.
    pub fn of(json: &RawValue) -> Self {
        from_slice(json.get().as_bytes()).unwrap_or_default()
    }

    /// The value of `name`, the last one if there are several; `None` for null too.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        let value = self.all(name).next_back()?;
        (!is_null(value)).then_some(value)
    }

    /// The text under `name`; empty if there is none. Null changes no text given before it.
    pub fn text(&self, name: &str) -> String {
        let value = self.all(name).rfind(|value| !is_null(value));
        let text = value.and_then(|value| from_slice(value.get().as_bytes()).ok());
        text.unwrap_or_default()
    }

    /// The object under `name`; without members if there is none. Of one given several times it has the members of all.
    pub fn object(&self, name: &str) -> Self {
        let given = self.all(name).filter(|value| !is_null(value));
        Self(given.flat_map(|value| Self::of(value).0).collect())
    }

    /// Whether there is a member `name`, whatever its value.
    pub fn contains(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Every value of `name`, null too.
    pub fn all(&self, name: &str) -> impl DoubleEndedIterator<Item = &RawValue> {
        let members = self.0.iter();
        members.filter_map(move |(key, value)| key.eq_ignore_ascii_case(name).then_some(&**value))
    }

    /// Every member.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), &**value))
    }

    /// The members whose names are admitted, as an object. What was given twice stays so, for a reader to decide.
    pub fn object_of(&self, admits: impl Fn(&str) -> bool) -> String {
        let mut object = String::from("{");
        for (key, value) in self.iter().filter(|(key, _)| admits(key)) {
            if object.len() > 1 {
                object.push(',');
            }
            object.push_str(&serde_json::Value::from(key).to_string());
            object.push(':');
            object.push_str(value.get());
        }
        object.push('}');
        object
    }
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_and_the_last_one_wins() {
        let json = br#"{"image":"a","Image":"b","IMAGE":null,"Null":null,"O":{"k":"v"},"N":1,"o":null,"o":{"l":2}}"#;
        let members: Members = from_slice(json).unwrap();
        assert_eq!(members.text("IMAGE"), "b");
        assert!(members.get("image").is_none());
        assert_eq!(members.text("absent"), "");
        assert_eq!(members.text("N"), "");
        assert_eq!(members.object("o").text("K"), "v");
        assert_eq!(members.object("o").get("l").unwrap().get(), "2");
        assert!(members.get("Null").is_none() && members.contains("null"));
        assert!(!members.contains("absent"));
        assert_eq!(members.iter().count(), 8);
    }

    #[test]
    fn an_object_of_some_members_is_written_as_it_was() {
        let members: Members = from_slice(br#"{"a\"b": [1, 2],"c":1,"C":2,"d":3}"#).unwrap();
        assert_eq!(
            members.object_of(|it| it != "d"),
            r#"{"a\"b":[1, 2],"c":1,"C":2}"#
        );
        assert_eq!(members.object_of(|_| false), "{}");
    }
}
