/* SPDX-License-Identifier: ISC */
/* Names of files and folders. */
#include "mailbox/maildir.h"
#include "regress/unit/mailbox/fixture.h"

static void
test_files(void **state)
{
	struct maildir_name m, again;
	char out[MAILDIR_NAME_MAX + 1], long_name[300];

	maildir_name_parse("17.M1P2.host,S=40,W=44,U=17-6743abcd,D=1a-2:2,FSab", &m);
	assert_int_equal(m.unique_len, 12);
	assert_int_equal(m.size, 40);
	assert_int_equal(m.crlf_size, 44);
	assert_true(m.has_uid && m.has_delivery);
	assert_int_equal(m.uid, 17);
	assert_int_equal(m.uidvalidity, 0x6743abcd);
	assert_int_equal(m.queue_id, 0x1a);
	assert_int_equal(m.rcpt, 2);
	assert_int_equal(m.flags, FLAG_FLAGGED | FLAG_SEEN);
	assert_int_equal(m.keywords, 3);
	assert_int_equal(maildir_name_print("17.M1P2.host", 12, &m, out), 0);
	assert_string_equal(out, "17.M1P2.host,S=40,W=44,U=17-6743abcd,D=1a-2:2,FSab");
	maildir_name_parse(out, &again);
	assert_int_equal(again.uid, m.uid);

	maildir_name_parse("x", &m);
	assert_int_equal(m.base_len, 1);
	assert_false(m.has_uid);
	maildir_name_parse("", &m);
	maildir_name_parse(",,,=:,:2,", &m);
	maildir_name_parse("a,U=0-1", &m);
	assert_false(m.has_uid);
	maildir_name_parse("a,U=4294967296-1,S=99999999999999999999", &m);
	assert_false(m.has_uid);
	assert_int_equal(m.size, 0);
	maildir_name_parse("a,U=4294967295-ffffffff:2,", &m);
	assert_true(m.has_uid);
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(maildir_name_print(long_name, 250, &m, out), -1);
	assert_int_equal(maildir_name_print(long_name, 299, &m, out), -1);
}

static void
test_folders(void **state)
{
	static const struct {
		const char *name, *dir;
	} rows[] = {
		{ "INBOX", "." },
		{ "a", ".a" },
		{ "a/b", ".a.b" },
		{ "v1.2/x", ".v1&AC4-2.x" },
		{ "R&D", ".R&-D" },
		{ "\xc3\x84", ".&AMQ-" },
		{ "INBOX/sub", ".INBOX.sub" },
		{ ".", ".&AC4-" },
		{ "\xe5\x8f\xb0\xe5\x8c\x97", ".&U,BTFw-" },
	};
	char out[STORE_NAME_MAX + 1], name[STORE_NAME_MAX + 1];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    maildir_folder_canonical(rows[i].name, name, sizeof(name)), 0);
		assert_string_equal(name, rows[i].name);
		assert_int_equal(maildir_folder_dir(name, out, sizeof(out)), 0);
		assert_string_equal(out, rows[i].dir);
		assert_int_equal(maildir_folder_name(out, name, sizeof(name)), 0);
		assert_string_equal(name, rows[i].name);
	}
	assert_int_equal(maildir_folder_canonical("inBox/x", name, sizeof(name)), 0);
	assert_string_equal(name, "INBOX/x");
	/* Directories that we would not have named so. */
	assert_int_equal(maildir_folder_name("cur", out, sizeof(out)), -1);
	assert_int_equal(maildir_folder_name("..", out, sizeof(out)), -1);
	assert_int_equal(maildir_folder_name(".a..b", out, sizeof(out)), -1);
	assert_int_equal(maildir_folder_name(".a.", out, sizeof(out)), -1);
	assert_int_equal(maildir_folder_name(".INBOX", out, sizeof(out)), -1);
	assert_int_equal(maildir_folder_name(".inbox.x", out, sizeof(out)), -1);
	assert_int_equal(maildir_folder_name(".&", out, sizeof(out)), -1);
	assert_int_equal(maildir_folder_name(".&AC8-", out, sizeof(out)), -1);
	assert_int_equal(maildir_folder_name(".&AMQ", out, sizeof(out)), -1);
	assert_int_equal(maildir_folder_canonical("/a", out, sizeof(out)), -1);
	assert_int_equal(maildir_folder_canonical("a/", out, sizeof(out)), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_folders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
