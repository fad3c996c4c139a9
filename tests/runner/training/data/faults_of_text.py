"""Bad delimited text, and paths that lead to no file."""

from tests.runner.training.data.faults import Fault

GOOD = "a,b,label\n1,2,x\n3,4,y\n"


def csv(name: str, content: str | bytes, *says: str, **settings: object) -> Fault:
    return Fault(name, "t.csv", content, says, {"target": "label"} | settings)


def battery(name: str, content: str | bytes, *says: str, **settings: object) -> Fault:
    return Fault(name, "t.csv", content, says, {"target": "label"} | settings, commanded=True)


PATHS = [
    Fault("missing", "no.csv", None, ("data.path: must be a file", "no.csv"), commanded=True),
    Fault("in a missing folder", "x/no.csv", None, ("data.path", "no.csv", "no folder")),
    Fault("a folder", "", None, ("must be a file, got a folder",), commanded=True),
    Fault("null character", "a\0.csv", None, ("data.path", "can be read", "null")),
    Fault("long name", "a" * 300 + ".csv", None, ("data.path", "can be read", "too long")),
    Fault("unknown ending", "t.xlsx", GOOD, ("t.xlsx: must end in .csv", "got '.xlsx'")),
    Fault("packed", "t.csv.gz", b"\x1f\x8b", ("t.csv.gz: must end in", "got '.gz'")),
    Fault("no ending", "table", GOOD, ("table: must end in .csv", "got 'table'")),
]

CONTENT = [
    battery("empty", "", "t.csv: must hold delimited text, got an empty file"),
    csv("only a byte order mark", "\ufeff", "t.csv: must name its columns", "empty file"),
    csv("blank lines", "\n\r\n\n", "t.csv: must name its columns", "empty file"),
    battery("header only", "a,b,label\n", "t.csv: must have at least 2 rows", "got 0"),
    battery("one row", "a,b,label\n1,2,x\n", "t.csv: must have at least 2 rows", "got 1"),
    csv("binary", b"\x89PNG\r\n\x1a\n\0\0", "t.csv: must be delimited text", "got a binary file"),
    csv("gzip", b"\x1f\x8b\x08abc", "t.csv: must be delimited text", "got a gzip file"),
    csv("zip", b"PK\x03\x04abc", "t.csv: must be delimited text", "got an NPZ archive"),
    csv("pickle", b"\x80\x04\x95", "t.csv: must be delimited text", "got a pickle"),
    csv("UTF-16", GOOD.encode("utf-16"), "t.csv: must be delimited text", "got UTF-16"),
    csv(
        "Latin-1",
        "a,b,label\n1,caf\xe9,x\n3,th\xe9,y\n".encode("latin-1"),
        "t.csv, line 2, column 'b': must be UTF-8 text",
        r"got b'caf\xe9'",
    ),
    csv("Latin-1 header", b"\xe9,label\n1,x\n2,y\n", "t.csv, line 1", "UTF-8", r"b'\xe9'"),
]

STRUCTURE = [
    battery("ragged, long", GOOD + "5,6,x,7\n", "t.csv, line 4: must have 3 columns", "got 4"),
    battery("ragged, short", GOOD + "5,6\n", "t.csv, line 4: must have 3 columns", "got 2"),
    csv("quote left open", GOOD + '5,"6,x\n', "t.csv, line 4: must be cells", "end of data"),
    csv("text after a quote", GOOD + '"5"6,7,x\n', "t.csv, line 4: must be cells", "expected"),
    battery(
        "semicolons",
        GOOD.replace(",", ";"),
        "t.csv, line 1: must have at least 2 columns separated by ','",
        "got only 'a;b;label'",
        "data.delimiter=';'",
    ),
    csv("tabs", GOOD.replace(",", "\t"), "t.csv, line 1", r"data.delimiter='\t'"),
    csv("spaces", GOOD.replace(",", " "), "t.csv, line 1", "data.delimiter=' '"),
    csv("semicolons, decimal commas", "a;label\n1,5;x\n2,5;y\n", "line 1", "data.delimiter=';'"),
    csv(
        "semicolons and commas in the header",
        "a, cm;b, cm;label\n1;2;x\n3;4;y\n",
        "data.target: must be a column of",
        "got 'label'",
        "data.delimiter=';'",
    ),
    csv(
        "commas where semicolons were announced",
        GOOD,
        "t.csv, line 1: must have at least 2 columns separated by ';'",
        "data.delimiter=','",
        delimiter=";",
    ),
    battery("label column twice", "a,label,label\n1,2,x\n3,4,y\n", "line 1", "2 and 3", "'label'"),
    battery("feature column twice", "a,a,label\n1,2,x\n3,4,y\n", "line 1", "1 and 2", "'a'"),
    csv(
        "column without a name", ",a,label\n0,1,x\n1,3,y\n", "line 1", "column 1: must have a name"
    ),
    csv("no header", "5.1,3.5,x\n4.9,3.0,y\n", "line 1", "must name the columns", "number 5.1"),
    csv("nothing but the label", "label\nx\ny\n", "line 1", "at least 2 columns", "'label'"),
]

CELLS = [
    battery(
        "word among numbers",
        GOOD + "5,abc,x\n",
        "t.csv, line 4, column 'b': must be a number",
        "got 'abc'",
    ),
    csv(
        "words and numbers, word first",
        "a,label\nred,x\n3,y\n",
        "t.csv, line 2, column 'a': must be a number",
        "got 'red'",
        "such as '3'",
    ),
    csv("decimal comma", 'a,label\n1.5,x\n"2,5",y\n', "line 3, column 'a'", "'2,5'", "a point"),
    csv("underscore", "a,label\n1,x\n1_000,y\n", "line 3, column 'a': must be a number", "'1_000'"),
    csv("hexadecimal", "a,label\n1,x\n0x1F,y\n", "line 3, column 'a': must be a number", "'0x1F'"),
    battery("empty cell", GOOD + ",6,x\n", "t.csv, line 4, column 'a'", "got ''", "a number"),
    csv("cell of spaces", 'a,label\nred,x\n"  ",y\n', "line 3, column 'a'", "got '  '", "empty"),
    battery("empty label", GOOD + "5,6,\n", "t.csv, line 4, column 'label'", "got ''"),
    battery("nan", GOOD + "NaN,6,x\n", "t.csv, line 4, column 'a'", "finite number", "'NaN'"),
    csv("nan among words", "a,label\nred,x\nnan,y\n", "line 3, column 'a'", "finite", "'nan'"),
    battery("infinity", GOOD + "5,-inf,x\n", "line 4, column 'b'", "finite number", "'-inf'"),
    csv("overflow", GOOD + "1e999,6,x\n", "line 4, column 'a'", "finite number", "'1e999'"),
    csv("huge", f"a,label\n1{'0' * 400},x\n2,y\n", "line 2, column 'a'", "finite", "403 char"),
    csv(
        "a word far below many numbers",
        "a,label\n" + "1,x\n2,y\n" * 4_096 + "abc,x\n",
        "t.csv, line 8194, column 'a': must be a number",
        "'abc'",
    ),
    csv(
        "below a quoted newline and blank lines",
        'a,b,label\r\n1,"x\r\ny",x\r\n\r\n3,z,y\r\n4,,x\r\n',
        "t.csv, line 6, column 'b'",
    ),
    csv("spaces in one label", GOOD + '5,6,"x "\n', "line 4, column 'label'", "'x '", "spaces"),
    csv(
        "a name for each row",
        "a,label\n" + "".join(f"w{row},{row % 2}\n" for row in range(1_001)),
        "t.csv, column 'a': must have at most 1,000",
        "got 1,001",
        "data.features",
    ),
]

LABELS = [
    battery("label absent", GOOD, "data.target", "'labl'", "'a', 'b', 'label'", target="labl"),
    battery("no label", GOOD, "data.target", "got None", "'a', 'b', 'label'", target=None),
    csv("label nearly there", GOOD, "data.target", "Did you mean 'label'?", target="labels"),
    battery("one class", "a,label\n1,x\n2,x\n", "column 'label'", "2 classes", "got only 'x'"),
    battery("quantities", "a,label\n1,2\n2,0.5\n", "line 3, column 'label'", "0.5", "a class"),
    csv("huge labels", f"a,label\n1,1\n2,{2**60}\n", "line 3, column 'label'", str(2**60), "2**53"),
    csv("label among words", "a,label\n1,0\n2,O\n", "line 3, column 'label'", "'O'", "a number"),
]

FEATURES = [
    battery("none", GOOD, "data.features: must be a list of columns", "got []", features=[]),
    battery(
        "unknown", GOOD, "data.features", "got 'bb'", "Did you mean 'b'?", features=["a", "bb"]
    ),
    battery(
        "the label", GOOD, "data.features", "'label'", "without the label", features=["a", "label"]
    ),
    csv("one twice", GOOD, "data.features", "got 'a'", "twice", features=["a", "a"]),
]

FAULTS = [*PATHS, *CONTENT, *STRUCTURE, *CELLS, *LABELS, *FEATURES]
