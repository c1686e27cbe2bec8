import io
import stat
import warnings
import zipfile

import pytest

from core.errors import InputError
from warehouse.importing import import_tables

CLIENTS = "client_id,name\n1,甲公司\n2,乙公司\n3,丙公司\n"
OLE2 = b"\xd0\xcf\x11\xe0"
LOANS = "loan_id,client_id,amount\n10,1,100.5\n11,1,200\n12,3,\n"


@pytest.fixture
def archive(tmp_path):
    """Write entries (name or ZipInfo → content) to a zip archive."""

    def write(entries, name="data.zip", compression=zipfile.ZIP_DEFLATED):
        path = tmp_path / name
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as file:
            warnings.simplefilter("ignore", UserWarning)  # doubled names are what is tested
            for entry, content in entries:
                file.writestr(entry, content)
        return path

    return write


@pytest.fixture
def never_unpacked(monkeypatch):
    def opened(*_):
        raise AssertionError("unpacked")

    monkeypatch.setattr(zipfile.ZipExtFile, "read", opened)


@pytest.fixture
def staging(tmp_path):
    return tmp_path / "staging"


def refused(path, code, staging, *words):
    with pytest.raises(InputError) as caught:
        import_tables(path, staging=staging)
    assert caught.value.code == code
    assert path.name in caught.value.where
    for word in words:
        assert word in caught.value.text()
    assert list(staging.iterdir()) == []


def test_an_archive_is_imported_as_the_folder_of_its_files(archive, folder, staging):
    model = "tables: {clients: {columns: {name: {label: {zh: 名称}}}}}"
    files = {"clients.csv": CLIENTS, "loans.csv": LOANS, "data_model.yaml": model}
    packed = import_tables(archive(list(files.items())), staging=staging)
    plain = import_tables(folder(files))
    assert packed.table_set.fingerprint == plain.table_set.fingerprint
    assert packed.data_model.tables["clients"].columns["name"].label == {"zh": "名称"}
    assert [source.sha256 for source in packed.sources] == [source.sha256 for source in plain.sources]
    assert list(staging.iterdir()) == []


def test_folders_inside_are_left_out_of_the_names_and_other_files_are_told(archive, codes):
    entries = [("export/2024/clients.csv", CLIENTS), ("export/readme.md", "hello"), ("__MACOSX/._clients.csv", "x")]
    result = import_tables(archive(entries))
    assert result.table_set.names == ("clients",)
    assert codes(result.findings, "readme.md") == ["skipped_file"]


def test_an_archive_in_a_folder_stands_for_its_files(archive, codes):
    path = archive([("loans.csv", LOANS)])
    (path.parent / "clients.csv").write_text(CLIENTS)
    result = import_tables(path.parent)
    assert set(result.table_set.names) == {"clients", "loans"}
    assert [str(link) for link in result.data_model.relationships] == ["loans.client_id -> clients.client_id"]


def test_chinese_names_written_by_windows_are_read_right(archive):
    path = archive([("XXXX.csv", CLIENTS)])
    path.write_bytes(path.read_bytes().replace(b"XXXX", "企业".encode("gbk")))
    assert import_tables(path).table_set.names == ("企业",)


@pytest.mark.parametrize("name", ["../clients.csv", "/etc/clients.csv", "C:\\clients.csv", "a/../../clients.csv"])
def test_a_name_that_leads_out_is_refused(archive, staging, never_unpacked, name):
    refused(archive([("loans.csv", LOANS), (name, CLIENTS)]), "bad_archive", staging, "leads out")


def test_a_link_is_refused(archive, staging, never_unpacked):
    link = zipfile.ZipInfo("clients.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(archive([(link, "/etc/passwd")]), "bad_archive", staging, "is a link")


def test_a_bomb_is_refused_before_it_is_unpacked(archive, staging, never_unpacked):
    path = archive([("clients.csv", b"0" * (100 << 20))])
    assert path.stat().st_size < 1 << 20
    refused(path, "too_large", staging, "inflate from")


def test_entries_that_share_their_bytes_are_refused(archive, staging, never_unpacked):
    path = archive([("a.csv", "x" * 5000), ("b.csv", "y" * 5000)], compression=zipfile.ZIP_STORED)
    data = path.read_bytes()
    offset = len(data) - data[::-1].index(b"PK\x01\x02"[::-1]) - 4  # the last entry of the list of contents
    with zipfile.ZipFile(path) as file:
        first = file.infolist()[0].header_offset
    entry = bytearray(data[offset:])
    entry[20:28] = (20_000).to_bytes(4, "little") * 2
    entry[42:46] = first.to_bytes(4, "little")
    path.write_bytes(data[:offset] + bytes(entry))
    refused(path, "too_large", staging)


def test_too_many_entries_are_refused(archive, staging, never_unpacked):
    refused(archive([(f"{n}.csv", "x") for n in range(2_001)]), "bad_archive", staging, "2001", "2000")


def test_two_files_of_one_name_are_refused(archive, staging, never_unpacked):
    refused(archive([("a/x.csv", CLIENTS), ("b/x.csv", CLIENTS)]), "bad_archive", staging, "two files in it")


def test_a_password_is_refused_with_what_to_do(archive, staging, never_unpacked):
    path = archive([("clients.csv", CLIENTS)])
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 8] |= 1
    path.write_bytes(data)
    refused(path, "encrypted", staging, "password", "Pack the files again")


@pytest.mark.parametrize(("name", "ending"), [("inner.zip", ".zip"), ("book.xls", ".xls"), ("book.xlsm", ".xlsm")])
def test_an_archive_inside_and_kinds_that_are_not_read_are_refused(archive, staging, never_unpacked, name, ending):
    refused(archive([("clients.csv", CLIENTS), (name, "x")]), "unsupported_file", staging, ending, name)


def test_an_archive_cut_short_or_damaged_inside_is_refused(archive, staging):
    path = archive([("clients.csv", CLIENTS * 100)], compression=zipfile.ZIP_STORED)
    data = path.read_bytes()
    path.write_bytes(data.replace("乙公司".encode(), "丁公司".encode()))
    refused(path, "damaged", staging, "CRC")
    path.write_bytes(data[: len(data) // 2])
    refused(path, "damaged", staging, "zip file")


def test_an_archive_without_tables_and_a_workbook_named_zip_are_refused(archive, staging):
    with pytest.raises(InputError) as caught:
        import_tables(archive([("readme.md", "hello")]), staging=staging)
    assert caught.value.code == "no_files"
    refused(archive([("xl/workbook.xml", "<workbook/>")]), "wrong_content", staging, "excel")


def test_a_bad_file_in_an_archive_is_named(archive, staging):
    with pytest.raises(InputError, match=r"^loans\.csv, line 3|^loans\.csv: line 3"):
        import_tables(archive([("clients.csv", CLIENTS), ("loans.csv", "a,b\n1,2\n3\n")]), staging=staging)
    assert list(staging.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "a.xlsx",
            b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"),
            ["encrypted", "take the password off"],
        ),
        ("a.xls", OLE2, [".xls", "save it as an Excel workbook (.xlsx)"]),
        ("a.xlsm", b"PK", [".xlsm", "without macros"]),
    ],
)
def test_workbooks_that_are_not_read_are_refused_with_what_to_do(folder, name, content, words):
    with pytest.raises(InputError) as caught:
        import_tables(folder({name: content}))
    for word in words:
        assert word in caught.value.text()


def test_reading_leaves_no_open_file(archive):
    path = archive([("clients.csv", CLIENTS)])
    import_tables(path)
    path.write_bytes(io.BytesIO(path.read_bytes()).getvalue())
    assert import_tables(path).table_set.names == ("clients",)
