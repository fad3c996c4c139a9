"""Bad delimited text, and paths that lead to no file."""

from tests.runner.training.data.faults import Fault

GOOD = "a,b,label\n1,2,x\n3,4,y\n"


def csv(name: str, content: str | bytes, *says: str, **settings: object) -> Fault:
    return Fault(name, "t.csv", content, says, {"target": "label"} | settings)


PATHS = [
    Fault("missing", "no.csv", None, ("data.path: must be a file", "no.csv")),
    Fault("in a missing folder", "x/no.csv", None, ("data.path", "no.csv", "no folder")),
    Fault("a folder", "", None, ("must be a file, got a folder",)),
    Fault("null character", "a\0.csv", None, ("data.path", "can be read", "null")),
    Fault("long name", "a" * 300 + ".csv", None, ("data.path", "can be read", "too long")),
    Fault("old Excel", "t.xls", GOOD, ("t.xls: must end in .csv", "as .xlsx")),
    Fault("JSON", "t.json", GOOD, ("t.json: must end in .csv", "Save it as .jsonl")),
    Fault("a damaged gzip", "t.csv.gz", b"\x1f\x8b", ("t.csv.gz: must be whole", "damaged")),
    Fault("a damaged packed table", "t.parquet.gz", b"\x1f\x8b", ("t.parquet.gz: must be whole",)),
    Fault("no ending", "table", GOOD, ("table: must end in .csv", "got 'table'")),
]

CONTENT = [
    csv("empty", "", "t.csv: must hold delimited text, got an empty file"),
    csv("only a byte order mark", "\ufeff", "t.csv: must hold rows", "empty file"),
    csv("blank lines", "\n\r\n\n", "t.csv: must hold rows", "empty file"),
    csv("header only", "a,b,label\n", "t.csv: must have at least 2 rows", "got 0"),
    csv("one row", "a,b,label\n1,2,x\n", "t.csv: must have at least 2 rows", "got 1"),
    csv("binary", b"\x89PNG\r\n\x1a\n\0\0", "t.csv: must be delimited text", "got a binary file"),
    csv("gzip", b"\x1f\x8b\x08abc", "t.csv: must be delimited text", "got a gzip file"),
    csv("zip", b"PK\x03\x04abc", "t.csv: must be delimited text", "got a zip archive"),
    csv("pickle", b"\x80\x04\x95", "t.csv: must be delimited text", "got a pickle"),
    csv(
        "another encoding",
        GOOD,
        "data.encoding: must be the encoding",
        "'utf-32'",
        encoding="utf-32",
    ),
    csv("no encoding at all", GOOD, "data.encoding", "got 'klingon'", encoding="klingon"),
    csv(
        "binary below text",
        GOOD.encode() + b"5,\xff\x81\0,x\n",
        "must be delimited text",
        "a binary file",
    ),
]

STRUCTURE = [
    csv("ragged, long", GOOD + "5,6,x,7\n", "t.csv, line 4: must have 3 columns", "got 4"),
    csv(
        "ragged, short",
        GOOD + "5,6\n",
        "t.csv, line 4: must have 3 columns",
        "got 2",
        "data.delimiter",
    ),
    csv("quote left open", GOOD + '5,"6,x\n', "line 4: must be cells", "end of data", "doubled"),
    csv("header again", GOOD + GOOD, "t.csv, line 4: must be a row, got the header again"),
    csv("header of words again", "w,label\nq,x\nr,y\nw,label\ns,x", "line 4", "header again"),
    csv("a title", "My table\n\na,b,label\n1,2,x\n", "line 1: must name the columns", "a title"),
    csv("text after a quote", GOOD + '"5"6,7,x\n', "t.csv, line 4: must be cells", "expected"),
    csv(
        "commas where semicolons were announced",
        GOOD,
        "data.target: must be a column of",
        "'a,b,label'",
        "data.delimiter",
        delimiter=";",
    ),
    csv("label column twice", "a,label,label\n1,2,x\n3,4,y\n", "line 1", "2 and 3", "'label'"),
    csv("feature column twice", "a,a,label\n1,2,x\n3,4,y\n", "line 1", "1 and 2", "'a'"),
    csv("a header like data", "a,0.5,y\n1,2,x\n3,4,y\n", "data.header=true", target=-1),
    csv("no header", "5.1,3.5,x\n4.9,3.0,y\n", "line 1", "number 5.1", "data.header=false"),
    csv("nothing but the label", "label\nx\ny\n", "at least one feature column", "'label'"),
]

CELLS = [
    csv(
        "words among numbers",
        GOOD + "5,abc,x\n7,8,y\n9,def,x\n",
        "t.csv, column 'b': must hold numbers, such as '2'",
        "2 of 5 that are none: line 4 'abc', line 6 'def'",
        "data.missing_values",
        "data.categories",
    ),
    csv(
        "words of which half are numbers",
        "a,label\nred,x\n3,y\n",
        "column 'a': must hold numbers",
        "line 2 'red'",
    ),
    csv(
        "points and commas for decimals",
        "a;b;label\n1.5;2,5;x\n2.5;3,5;y\n",
        "data.decimal: must be '.' or ','",
        "2,5 in column 'b' and 1.5 in column 'a'",
    ),
    csv(
        "thousands or decimals",
        "a;label\n1,234;x\n5,678;y\n",
        "data.decimal: must be '.' or ','",
        "1,234 in column 'a'",
    ),
    csv("underscore", "a,label\n1,x\n1_000,y\n", "line 3 '1_000'"),
    csv("hexadecimal", "a,label\n1,x\n0x1F,y\n", "line 3 '0x1F'"),
    csv(
        "empty cell",
        GOOD + ",6,x\n",
        "t.csv, line 4, column 'a': must be a number, got ''",
        "data.missing=fill",
        missing="refuse",
    ),
    csv("empty word", "a,label\nred,x\n,y\n", "line 3", "a word", missing="refuse"),
    csv("empty label", GOOD + "5,6,\n", "line 4, column 'label'", missing="refuse"),
    csv("no label at all", "a,label\n1,\n2,\n", "column 'label': must hold the target", "2 rows"),
    csv("infinity", GOOD + "5,-inf,x\n", "line 4, column 'b'", "finite number", "'-inf'"),
    csv("overflow", GOOD + "1e999,6,x\n", "line 4, column 'a'", "finite number", "'1e999'"),
    csv("huge", f"a,label\n1{'0' * 400},x\n2,y\n", "line 2, column 'a'", "finite", "403 char"),
    csv(
        "a word far below many numbers",
        "a,label\n" + "1,x\n2,y\n" * 4_096 + "abc,x\n",
        "t.csv, column 'a': must hold numbers",
        "1 of 8,193",
        "line 8194 'abc'",
    ),
    csv(
        "below a quoted newline and blank lines",
        'a,b,label\r\n1,"x\r\ny",x\r\n\r\n3,z,y\r\n4,,x\r\n',
        "t.csv, line 6, column 'b'",
        missing="refuse",
    ),
    csv(
        "below blank lines without a quote",
        "\na,b,label\r\n\r\n1,2,x\r\n\n3,,y\n",
        "t.csv, line 6, column 'b'",
        missing="refuse",
    ),
    csv(
        "dates of either order",
        "when,label\n03/04/2020,x\n05/06/2020,y\n",
        "data.day_first: must be true or false",
        "column 'when'",
        "'03/04/2020'",
    ),
    csv(
        "a date that is none",
        "when,label\n2020-01-01,x\nsoon,y\n",
        "column 'when': must hold dates, such as 2021-12-31, got 1 of 2",
        "line 3 'soon'",
        "data.missing_values",
        columns={"date": ["when"]},
    ),
    csv(
        "a date that is none among many",
        "when,label\n2020-02-28,x\n2020-02-29,x\n2020-02-30,y\n,y\n",
        "got 1 of 3 that are none: line 4 '2020-02-30'",
        "data.categories",
    ),
    csv("an unknown column in drop", GOOD, "data.drop", "'c'", "'a', 'b', 'label'", drop=["c"]),
    csv("an unknown category", GOOD, "data.categories", "'c'", categories=["c"]),
    csv("an unknown format", GOOD, "data.formats", "'c'", formats={"c": "%"}),
    csv("an unknown column of words", GOOD, "data.columns", "'c'", columns={"words": ["c"]}),
    csv(
        "another sign than the one that is set",
        "a,label\n$5,x\n$6,y\n",
        "must hold numbers, got 2 of 2 that are none: line 2 '$5'",
        "data.formats",
        formats={"a": "€"},
    ),
    csv(
        "a sign that some numbers have",
        "a,label\n$5,x\n6,y\n$7,y\n8,x\n",
        "must hold numbers, such as '6', got 2 of 4 that are none: line 2 '$5', line 4 '$7'",
        "data.formats={a: $}",
    ),
    csv(
        "a sign inside a number",
        "a,label\n€5,x\n1€50,y\n",
        "must hold numbers, such as '€5', got 1 of 2 that are none: line 3 '1€50'",
        formats={"a": "€"},
    ),
    csv(
        "several signs",
        "a,label\n$5,x\n6 €,y\n",
        "A column may have one sign, and this has $, €.",
        columns={"number": ["a"]},
    ),
    csv(
        "dates in a form that is not known",
        "a,label\n13|01|25,x\n14|01|25,y\n",
        "must hold dates, such as 2021-12-31, got 2 of 2",
        "data.formats={a: '%d.%m.%y'} is a form of dates",
        columns={"date": ["a"]},
    ),
    csv(
        "months and days first",
        "a,label\n1/2/2020,x\n25/3/2020,y\n3/25/2020,y\n",
        "the day first or the month first, got both: line 3 '25/3/2020', line 4 '3/25/2020'.",
    ),
    csv(
        "an order against the form",
        "a,label\n1/2/2020,x\n2/3/2020,y\n",
        "data.day_first: must be null or true, since data.formats.a is %d/%m/%Y and decides, got",
        formats={"a": "%d/%m/%Y"},
        day_first=False,
    ),
    csv(
        "several lines of titles",
        "Report\n2020, all\n\n" + GOOD,
        "t.csv, line 1: must name the columns, got 'Report'",
        "begin them with #",
    ),
]

LABELS = [
    csv("label absent", GOOD, "data.target", "'labl'", "'a', 'b', 'label'", target="labl"),
    csv("no label", GOOD, "data.target", "must be given", "'a', 'b', 'label'", target=None),
    csv("label nearly there", GOOD, "data.target", "Did you mean 'label'?", target="labels"),
    csv("one class", "a,label\n1,x\n2,x\n", "column 'label'", "2 classes", "got only 'x'"),
    csv("huge labels", f"a,label\n1,1\n2,{2**60}\n", "line 3, column 'label'", str(2**60), "2**53"),
    csv("label among words", "a,label\n1,0\n2,O\n3,1\n", "column 'label'", "line 3 'O'"),
    csv("dates", "a,label\n1,2020-01-01\n2,2020-02-01\n", "column 'label'", "a class", "a date"),
]

FEATURES = [
    csv("none", GOOD, "data.features: must be a list of columns", "got []", features=[]),
    csv("unknown", GOOD, "data.features", "got 'bb'", "Did you mean 'b'?", features=["a", "bb"]),
    csv(
        "the label", GOOD, "data.features", "'label'", "without the target", features=["a", "label"]
    ),
    csv("one twice", GOOD, "data.features", "got 'a'", "twice", features=["a", "a"]),
]


def lines(name: str, content: str, *says: str) -> Fault:
    return Fault(name, "t.jsonl", content, says)


LINES = [
    lines(
        "no object", '{"a": 1, "label": "x"}\n[1]\n', "t.jsonl, line 2: must be an object", "['1']"
    ),
    lines("torn", '{"a": 1, "label": "x"}\n{"a": \n', "t.jsonl, line 2: must be an object of JSON"),
    lines("nested", '{"a": [1], "label": "x"}\n', "line 1, column 'a': must be a number", "['1']"),
    lines("a key twice", '{"a": 1, "a": 2, "label": "x"}\n', "line 1", "a key is there twice"),
    lines("too deep", "[" * 100_000, "t.jsonl, line 1: must be an object of JSON"),
    lines("blank", "\n \n", "t.jsonl: must hold rows, got an empty file"),
    lines("a word", '{"a": 1, "label": 1}\n{"a": "b", "label": 2}\n', "column 'a'", "line 2 'b'"),
]

FAULTS = [*PATHS, *CONTENT, *STRUCTURE, *CELLS, *LABELS, *FEATURES, *LINES]
