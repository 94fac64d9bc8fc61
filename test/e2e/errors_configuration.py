"""Misspelt settings, unreadable configurations, what is missing."""
import os
import stat

from errors_world import SECRET, case


@case
def an_unknown_command_names_the_nearest(w):
    w.expect(2, 'did you mean "run"?', "rnu")
    w.expect(2, "--hlep", "run", "--hlep")


@case
def a_misspelt_setting_names_file_line_and_the_right_name(w):
    path = os.path.join(w.dir, "wrong.toml")
    with open(path, "w") as f:
        f.write(f'[postgres]\nhots = "localhost"\npassword = "{SECRET}"\n')
    w.expect(2, 'wrong.toml:2: there is no setting "postgres.hots"; did you mean "postgres.host"?', "run", "-c", path)
    w.expect(2, "did you mean PGCH_BATCH_ROWS?", "run", env={"PGCH_BATHC_ROWS": "5"})
    w.expect(2, 'did you mean "batch.rows"?', "run", "--set", "batch.rosw=5")
    # The value of a misspelt password is a password.
    w.expect(2, "PGCH_POSTGRES_PASSWORD", "run", env={"PGCH_POSTGRES_PASWORD": SECRET})
    w.expect(2, 'did you mean "postgres.password"?', "run", "--set", "postgres.pasword=" + SECRET)
    with open(path, "w") as f:
        f.write(f'[clickhouse]\npasword = "{SECRET}"\n')
    w.expect(2, 'did you mean "clickhouse.password"?', "run", "-c", path)


@case
def a_setting_of_the_wrong_type_says_what_it_takes(w):
    w.expect(2, "batch.rows", "run", "--table", "t", "--set", "batch.rows=many")
    w.expect(2, "batch.linger", "run", "--table", "t", "--set", "batch.linger=1parsec")
    w.expect(2, "at_least_once", "run", "--table", "t", "--set", "delivery=twice")
    w.expect(2, "clickhouse.port", "run", "--table", "t", "--set", "clickhouse.port=" + "9" * 40)


@case
def an_unreadable_configuration_is_named(w):
    w.expect(2, "Cannot read the file /nonexistent.toml: No such file", "run", "-c", "/nonexistent.toml")
    w.expect(2, "Cannot read the file " + w.dir, "run", "-c", w.dir)
    w.expect(2, "/nonexistent.env", "run", "--env-file", "/nonexistent.env")
    path = os.path.join(w.dir, "broken.toml")
    with open(path, "w") as f:
        f.write('pipeline = "x"\n[postgres\n')
    w.expect(2, "broken.toml:2: this is not valid TOML", "run", "-c", path)
    for text in (f'[postgres]\npassword = "{SECRET}\n', f'[postgres]\npassword = {SECRET}\n', f'password = "{SECRET}" "{SECRET}"\n'):
        with open(path, "w") as f:
            f.write(text)
        w.expect(2, "not valid TOML", "run", "-c", path)
    with open(path, "wb") as f:
        f.write(b"pipeline = \"\xff\xfe\"\n\0")
    w.expect(2, "broken.toml", "run", "-c", path)


@case
def a_password_file_that_others_may_read_is_refused(w):
    path = os.path.join(w.dir, "password")
    with open(path, "w") as f:
        f.write(SECRET + "\n")
    os.chmod(path, stat.S_IRUSR | stat.S_IWUSR | stat.S_IROTH)
    w.expect(2, [path, "chmod 600"], "run", "--table", "t", "--set", "postgres.password_file=" + path, env={"PG_PASSWORD": ""})
    w.expect(2, "/nonexistent.password", "run", "--table", "t", "--set", "postgres.password_file=/nonexistent.password", env={"PG_PASSWORD": ""})


@case
def missing_addresses_and_tables_say_how_to_give_them(w):
    w.expect(2, "--from postgresql://", "run", "--table", "t", env={"PG_HOST": "", "PG_PORT": "", "PG_USER": "", "PG_PASSWORD": "", "PG_DB": ""})
    w.expect(2, "--table", "run")
