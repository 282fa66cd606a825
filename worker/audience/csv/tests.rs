use super::*;
use proptest::prelude::*;

fn read(file: &[u8]) -> Vec<(u64, Result<Vec<String>, RowError>)> {
    let mut rows = Rows::new(file, b',');
    std::iter::from_fn(|| rows.next_row().expect("a slice can be read")).map(|row| (row.line, row.fields)).collect()
}

fn fields(texts: &[&str]) -> Result<Vec<String>, RowError> {
    Ok(texts.iter().map(|t| (*t).to_owned()).collect())
}

#[test]
fn rows_come_with_their_lines_and_blank_lines_are_passed_over() {
    let found = read(b"\xef\xbb\xbfemail,name\r\n\r\na@example.org,\"Lind, Ana\"\nb@example.org,\"say \"\"hi\"\"\"\nlast,");
    assert_eq!(
        found,
        [
            (1, fields(&["email", "name"])),
            (3, fields(&["a@example.org", "Lind, Ana"])),
            (4, fields(&["b@example.org", "say \"hi\""])),
            (5, fields(&["last", ""])),
        ]
    );
}

#[test]
fn a_quoted_field_may_hold_line_ends() {
    assert_eq!(read(b"a,\"one\r\ntwo\n\",c\nd\n"), [(1, fields(&["a", "one\r\ntwo\n", "c"])), (4, fields(&["d"]))]);
}

#[test]
fn a_quote_that_is_never_closed_costs_its_own_line_only() {
    let found = read(b"1\n2,\"open\n3,\"closed, fine\"\n4,\"open again\n5\n");
    assert_eq!(
        found,
        [
            (1, fields(&["1"])),
            (2, Err(RowError::AfterQuote)),
            (3, fields(&["3", "closed, fine"])),
            (4, Err(RowError::OpenQuote)),
            (5, fields(&["5"])),
        ]
    );
}

#[test]
fn a_row_of_a_megabyte_is_refused_and_the_next_one_is_read() {
    for open in ["", "\""] {
        let file = format!("1\n{open}{}\n3\n", "x".repeat(1 << 20));
        let found = read(file.as_bytes());
        assert_eq!(found, [(1, fields(&["1"])), (2, Err(RowError::TooLong)), (3, fields(&["3"]))]);
    }
    let lines = "y\n".repeat(1 << 19);
    let found = read(format!("1\n\"{lines}").as_bytes());
    assert_eq!(found.len(), 1 + (1 << 19), "the line of the quote is refused, those after it are rows");
    assert_eq!(found[1], (2, Err(RowError::OpenQuote)));
}

#[test]
fn a_row_at_the_limit_is_taken_and_one_byte_more_is_not() {
    let at_limit = "x".repeat(MAX_ROW);
    assert_eq!(read(format!("{at_limit}\r\nnext").as_bytes()), [(1, fields(&[&at_limit])), (2, fields(&["next"]))]);
    assert_eq!(read(format!("{at_limit}x\nnext").as_bytes()), [(1, Err(RowError::TooLong)), (2, fields(&["next"]))]);
}

#[test]
fn bytes_that_are_no_text_are_refused_by_line() {
    let found = read(b"a,\xff\nb,\0\nc\n");
    assert_eq!(found, [(1, Err(RowError::Encoding(3))), (2, Err(RowError::Nul)), (3, fields(&["c"]))]);
}

proptest! {
    #[test]
    fn no_bytes_panic_and_every_line_is_read(file in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), any::<u8>()], 0..400)) {
        let mut rows = Rows::new(file.as_slice(), b',');
        let mut last = 0;
        while let Some(row) = rows.next_row().unwrap() {
            prop_assert!(row.line > last);
            last = row.line;
        }
        prop_assert!(rows.source().is_empty());
    }

    #[test]
    fn a_cell_comes_back_whole_and_is_never_a_formula(table in proptest::collection::vec(proptest::collection::vec("('{0,3}[=+@\\t\\r-])?[^\0]{0,9}", 2..4), 1..6)) {
        let file: String = table.iter().map(|row| row.iter().map(|text| cell(text)).collect::<Vec<_>>().join(",") + "\r\n").collect();
        let written: Vec<Vec<String>> = read(file.as_bytes()).into_iter().map(|(_, fields)| fields.unwrap()).collect();
        for field in written.iter().flatten() {
            prop_assert!(!field.starts_with(['=', '+', '-', '@', '\t', '\r']), "{field:?}");
        }
        let found: Vec<Vec<&str>> = written.iter().map(|row| row.iter().map(|field| restored(field)).collect()).collect();
        prop_assert_eq!(found, table);
    }

    #[test]
    fn what_is_written_by_the_rules_comes_back_whole(table in proptest::collection::vec(proptest::collection::vec("[^\0]{0,12}", 2..5), 1..8)) {
        let quoted = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
        let file: String = table.iter().map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n").collect();
        let found: Vec<_> = read(file.as_bytes()).into_iter().map(|(_, fields)| fields.unwrap()).collect();
        prop_assert_eq!(found, table);
    }
}
