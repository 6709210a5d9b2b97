//! What the database would do to rows of types by itself. No commit says so: no client would hear of
//! it, and an object that waits to be pushed would wait for ever.

use std::collections::BTreeSet;

/// Why a foreign key of a type's table is refused: one message for each action that changes or deletes rows. An action is what SQL
/// says, such as `ON DELETE CASCADE`.
pub fn foreign_key_problems<'a>(
    table: &'a str,
    foreign_key: &'a str,
    actions: [&'a str; 2],
) -> impl Iterator<Item = String> + 'a {
    let acts = |action: &&str| ["CASCADE", "SET NULL", "SET DEFAULT"].iter().any(|end| action.ends_with(end));
    actions.into_iter().filter(acts).map(move |action| {
        format!(
            "table {table}: the foreign key {foreign_key} has {action}: the database would change rows without a commit, and no \
             client would hear of it; leave it out, and write or delete those objects in the same commit"
        )
    })
}

/// Why a trigger on any table is refused: one message for each type whose table its statements write to.
///
/// ```
/// use fastsync_dao_kit::sql::trigger_problems;
///
/// let body = "BEGIN UPDATE \"Orders\" SET total = 0; INSERT INTO log VALUES ('DELETE FROM items'); END";
/// let types = ["orders", "items"].into();
/// let problems: Vec<_> = trigger_problems(&types, "sums", "lines", body).collect();
/// assert!(problems.len() == 1 && problems[0].starts_with("table orders: the trigger sums on lines writes to it"));
/// ```
pub fn trigger_problems<'a>(
    types: &'a BTreeSet<&'a str>,
    trigger: &'a str,
    on: &'a str,
    statements: &str,
) -> impl Iterator<Item = String> + 'a {
    let written = written_tables(statements);
    types.iter().filter(move |table| written.contains(&table.to_lowercase())).map(move |table| {
        format!(
            "table {table}: the trigger {trigger} on {on} writes to it without a commit, and no client would hear of it; leave it \
             out, and write those objects in the same commit"
        )
    })
}

/// The names of the tables that these statements write to, in lower case: the body of a trigger.
///
/// It errs on the side of too many: between `UPDATE` and `SET`, and after `DELETE`, each name counts.
fn written_tables(statements: &str) -> BTreeSet<String> {
    let mut written = BTreeSet::new();
    let mut tokens = tokens(statements).into_iter().peekable();
    let mut before = String::new();
    while let Some(token) = tokens.next() {
        let word = token.keyword();
        match word.as_str() {
            // Not the lock of a read, and not the update of an insert that finds its row there.
            "UPDATE" if !matches!(before.as_str(), "FOR" | "KEY" | "DO") => {
                while let Some(next) = tokens.next_if(|next| !next.is_end() && next.keyword() != "SET") {
                    written.extend(next.name());
                }
            }
            "DELETE" => {
                while let Some(next) = tokens.next_if(|next| !next.is_end() && next.keyword() != "WHERE") {
                    written.extend(next.name());
                }
            }
            "INTO" => {
                written.extend(tokens.next().and_then(Token::name));
                while tokens.next_if(|next| matches!(next, Token::Mark('.'))).is_some() {
                    written.extend(tokens.next().and_then(Token::name));
                }
            }
            // Without INTO, which may be left out, and not the function of the name.
            "REPLACE" | "INSERT" => {
                let is_statement = !matches!(tokens.peek(), Some(Token::Mark('(')));
                if is_statement && tokens.peek().is_some_and(|next| next.keyword() != "INTO") {
                    written.extend(tokens.next().and_then(Token::name));
                }
            }
            _ => {}
        }
        before = word;
    }
    written
}

/// A part of a statement.
#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Mark(char),
}

impl Token {
    /// The word in capitals; empty if it is none, or quoted.
    fn keyword(&self) -> String {
        match self {
            Self::Word(word) => word.to_ascii_uppercase(),
            Self::Quoted(_) | Self::Mark(_) => String::new(),
        }
    }

    fn name(self) -> Option<String> {
        match self {
            Self::Word(name) | Self::Quoted(name) => Some(name.to_lowercase()),
            Self::Mark(_) => None,
        }
    }

    const fn is_end(&self) -> bool {
        matches!(self, Self::Mark(';'))
    }
}

/// The tokens of statements, without comments and texts.
fn tokens(statements: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = statements;
    while let Some(first) = rest.chars().next() {
        let after = |until: &str, from: &'_ str| {
            from.find(until).map_or(from.len(), |at| at.saturating_add(until.len()))
        };
        let length = match first {
            '-' if rest.starts_with("--") => after("\n", rest),
            '#' => after("\n", rest),
            '/' if rest.starts_with("/*") => after("*/", rest),
            '\'' | '"' | '`' | '[' => {
                let (inside, length) = quoted(rest, if first == '[' { ']' } else { first });
                if first != '\'' {
                    tokens.push(Token::Quoted(inside));
                }
                length
            }
            _ if is_of_word(first) => {
                let length = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
                tokens.push(Token::Word(rest.get(..length).unwrap_or_default().to_owned()));
                length
            }
            _ => {
                if !first.is_whitespace() {
                    tokens.push(Token::Mark(first));
                }
                first.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// What is between the quotes at the beginning of a text, and how long it is with them. A quote inside is written twice.
fn quoted(text: &str, quote: char) -> (String, usize) {
    let mut inside = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c != quote {
            inside.push(c);
        } else if characters.next_if(|(_, next)| *next == quote).is_some() {
            inside.push(quote);
        } else {
            return (inside, at.saturating_add(quote.len_utf8()));
        }
    }
    (inside, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if a statement that changes rows is overlooked, or one that reads them is taken for one.
    #[test]
    fn what_writes_is_told_from_what_reads() {
        let cases = [
            ("UPDATE items SET a = 1", "items"),
            (
                "BEGIN UPDATE \"Orders\" SET total = 0; INSERT INTO log VALUES ('DELETE FROM items'); END",
                "log orders",
            ),
            ("UPDATE OR IGNORE main.[It ems] SET a = 1", "ignore it ems main or"),
            ("update a join b on a.id = b.id set a.x = 1", "a b id join on"),
            ("SELECT 1 FROM items WHERE a = 'UPDATE items SET' FOR UPDATE; SELECT 2", ""),
            ("DELETE FROM `items` WHERE id IN (SELECT id FROM others)", "from items"),
            ("DELETE FROM items", "from items"),
            ("INSERT OR REPLACE INTO items VALUES (1)", "items or"),
            (
                "INSERT INTO shop.items (id) SELECT id FROM others ON DUPLICATE KEY UPDATE id = 1",
                "items shop",
            ),
            ("INSERT INTO items VALUES (1) ON CONFLICT DO UPDATE SET a = 1", "items"),
            ("REPLACE items VALUES (1)", "items"),
            ("SELECT replace(name, 'a', 'b'), insert(name, 1, 2, 'x') FROM items", ""),
            ("-- DELETE FROM items\nSELECT /* UPDATE items SET */ 1 # INSERT INTO items", ""),
            ("SELECT RAISE(ABORT, 'it''s DELETE FROM items')", ""),
            ("SELECT 'never closed UPDATE items SET", ""),
            ("", ""),
        ];
        for (statements, expected) in cases {
            let written = written_tables(statements).into_iter().collect::<Vec<_>>().join(" ");
            assert_eq!(written, expected, "{statements}");
        }
    }
}
