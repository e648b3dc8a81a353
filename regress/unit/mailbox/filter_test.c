/* SPDX-License-Identifier: ISC */
/* Delivery by script: into folders, what is sent, and the same delivery again. */
#include <sys/mman.h>

#include "regress/unit/mailbox/fixture.h"

#include "common/compat/compat.h"
#include "common/proto/charset.h"
#include "common/crc32c.h"
#include "mailbox/filter.h"
#include "mailbox/replies.h"
#include "mailbox/scripts.h"

static const char text[] = "From: s@e.net\r\nTo: user@example.org\r\nSubject: hi\r\n"
			   "Message-ID: <1@e.net>\r\n\r\nbody\r\n";
static const char prefix[] = "Return-Path: <s@e.net>\r\n";

/* What went out: "2 s@e.net (300)", kind, address, and whether there is a message. */
struct sent {
	char what[1000];
	size_t n;
};

static int
outlet(const struct msg_outlet *o, int fd, void *arg)
{
	struct sent *s = arg;
	size_t len = strlen(s->what);

	snprintf(s->what + len, sizeof(s->what) - len, "%u %s%s;", o->kind, o->address,
	    o->size > 0 ? " +" : "");
	s->n++;
	if (fd != -1)
		close(fd);
	return 0;
}

static int
message_fd(void)
{
	int fd = compat_memfd_create("message");

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	return fd;
}

static int
deliver(struct store *s, uint64_t id, const char *rules, int junk, struct sent *sent,
    struct msg_delivered *out)
{
	static const struct filter_owner owner = { "user@example.org", "mx.example.org" };
	struct msg_deliver d = { .queue_id = id,
		.rcpt = 0,
		.size = sizeof(text) - 1,
		.junk = (uint8_t)junk,
		.prefix = (const uint8_t *)prefix,
		.prefix_len = sizeof(prefix) - 1 };
	enum store_error error;
	int fd = message_fd(), r;

	d.crc = crc32c(0, text, sizeof(text) - 1);
	strlcpy(d.sender, "s@e.net", sizeof(d.sender));
	strlcpy(d.recipient, "user@example.org", sizeof(d.recipient));
	strlcpy(d.rules, rules, sizeof(d.rules));
	memset(sent, 0, sizeof(*sent));
	memset(out, 0, sizeof(*out));
	r = filter_deliver(s, &owner, &d, fd, outlet, sent, out, &error);
	close(fd);
	assert_int_equal(error, STORE_OK);
	return r;
}

static size_t
count(struct store *s, const char *folder)
{
	struct folder *f;
	size_t n;

	if (folder_open(s, folder, &f) != STORE_OK)
		return 0;
	assert_int_equal(folder_refresh(f), STORE_OK);
	n = folder_count(f);
	folder_close(f);
	return n;
}

static void
put_script(struct store *s, const char *script)
{
	struct sieve_errors e;

	if (script_put(s, "main", script, strlen(script), &e) != SCRIPT_OK) {
		char why[400];

		sieve_errors_print(&e, why, sizeof(why));
		print_error("%s\n", why);
		fail();
	}
	assert_int_equal(script_activate(s, "main"), SCRIPT_OK);
}

static void
test_without_script(void **state)
{
	struct msg_delivered out;
	struct sent sent;
	struct box b;
	struct store *s;

	box_make(&b);
	s = box_open(&b);
	assert_int_equal(deliver(s, 1, "", 0, &sent, &out), 0);
	store_close(s);
	box_remove(&b);
}

static void
test_folders_once(void **state)
{
	struct msg_delivered out;
	struct sent sent;
	struct box b;
	struct store *s;

	box_make(&b);
	s = box_open(&b);
	put_script(s, "require [\"fileinto\", \"copy\", \"imap4flags\", \"editheader\"]; "
		      "fileinto :copy \"A\"; addheader \"X\" \"1\"; "
		      "fileinto :copy :flags \"\\\\Seen work\" \"B/C\"; redirect :copy "
		      "\"x@far.net\";");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(deliver(s, 7, "", 0, &sent, &out), 1);
		assert_int_equal(out.status, MSG_OK);
		assert_int_equal(out.kept, 1);
		assert_int_equal(out.again, i > 0);
		assert_string_equal(sent.what, "1 x@far.net +;");
		assert_int_equal(count(s, "A"), 1);
		assert_int_equal(count(s, "B/C"), 1);
		assert_int_equal(count(s, "INBOX"), 1);
		if (i == 1) {
			/* Another process goes on with it. */
			store_close(s);
			script_forget();
			replies_forget();
			s = box_open(&b);
		}
	}
	assert_int_equal(deliver(s, 8, "", 0, &sent, &out), 1);
	assert_int_equal(count(s, "A"), 2);
	store_close(s);
	box_remove(&b);
}

static void
test_replies_once(void **state)
{
	static const char rules[] = "require \"vacation\"; vacation \"away\";";
	struct msg_delivered out;
	struct sent sent;
	struct box b;
	struct store *s;

	box_make(&b);
	s = box_open(&b);
	/* The same delivery: the queue did not take what it sent before. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(deliver(s, 1, rules, 0, &sent, &out), 1);
		assert_string_equal(sent.what, "2 s@e.net +;");
		assert_int_equal(count(s, "INBOX"), 1);
	}
	/* Another one: he had his answer, also after a start. */
	assert_int_equal(deliver(s, 2, rules, 0, &sent, &out), 1);
	assert_string_equal(sent.what, "");
	store_close(s);
	replies_forget();
	s = box_open(&b);
	assert_int_equal(deliver(s, 3, rules, 1, &sent, &out), 1);
	assert_string_equal(sent.what, "");
	assert_int_equal(count(s, "Junk"), 1);
	/* The user's script says where it goes, the settings only answer. */
	put_script(s, "require [\"fileinto\", \"duplicate\"]; "
		      "if duplicate { discard; } else { fileinto \"F\"; }");
	assert_int_equal(deliver(s, 4, rules, 0, &sent, &out), 1);
	assert_int_equal(deliver(s, 4, rules, 0, &sent, &out), 1);
	assert_int_equal(count(s, "F"), 1);
	assert_int_equal(out.kept, 1);
	assert_int_equal(deliver(s, 5, rules, 0, &sent, &out), 1);
	assert_int_equal(out.kept, 0);
	assert_int_equal(count(s, "F"), 1);
	store_close(s);
	box_remove(&b);
}

static void
test_failures_keep(void **state)
{
	struct msg_delivered out;
	struct sent sent;
	struct box b;
	struct store *s;
	FILE *f;
	char path[128];

	box_make(&b);
	s = box_open(&b);
	put_script(s, "require [\"fileinto\", \"variables\"]; fileinto \"A\"; "
		      "set \"x\" \"nobody\"; redirect \"${x}\";");
	assert_int_equal(deliver(s, 1, "", 0, &sent, &out), 1);
	assert_string_equal(sent.what, "");
	assert_int_equal(count(s, "A"), 0);
	assert_int_equal(count(s, "INBOX"), 1);
	assert_non_null(strstr(out.text, "the script failed"));
	/* A folder that cannot be. */
	put_script(s, "require \"fileinto\"; fileinto \"a//b\";");
	assert_int_equal(deliver(s, 2, "", 0, &sent, &out), 1);
	assert_int_equal(count(s, "INBOX"), 2);
	/* Rejection. */
	put_script(s, "require \"reject\"; reject \"No,\r\nthanks.\";");
	assert_int_equal(deliver(s, 3, "", 0, &sent, &out), 1);
	assert_int_equal(out.status, MSG_PERM);
	assert_string_equal(out.enhanced, "5.7.1");
	assert_string_equal(out.text, "No,  thanks.");
	/* Somebody broke the file. */
	snprintf(path, sizeof(path), "%s/sieve/main.sieve", b.dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("nonsense;", f);
	fclose(f);
	assert_int_equal(deliver(s, 4, "", 0, &sent, &out), 1);
	assert_int_equal(count(s, "INBOX"), 3);
	store_close(s);
	box_remove(&b);
}

static void
test_scripts(void **state)
{
	struct script_info *v;
	struct sieve_errors e;
	struct box b;
	struct store *s;
	char name[SIEVE_NAME_MAX + 1], *t;
	size_t n;

	box_make(&b);
	s = box_open(&b);
	assert_int_equal(scripts_list(s, &v, &n), SCRIPT_OK);
	assert_int_equal(n, 0);
	assert_int_equal(script_get(s, "a", &t, &n), SCRIPT_NOT_FOUND);
	assert_int_equal(script_put(s, "a/b", "keep;", 5, &e), SCRIPT_BAD_NAME);
	assert_int_equal(script_put(s, ".a", "keep;", 5, &e), SCRIPT_BAD_NAME);
	assert_int_equal(script_put(s, "a", "keep", 4, &e), SCRIPT_INVALID);
	for (int i = 0; i < SCRIPTS_MAX; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		assert_int_equal(script_put(s, name, "keep;", 5, &e), SCRIPT_OK);
	}
	assert_int_equal(script_put(s, "more", "keep;", 5, &e), SCRIPT_TOO_MANY);
	assert_int_equal(script_put(s, "s1", "stop;", 5, &e), SCRIPT_OK);
	assert_int_equal(script_activate(s, "s1"), SCRIPT_OK);
	assert_int_equal(script_delete(s, "s1"), SCRIPT_IS_ACTIVE);
	assert_int_equal(script_rename(s, "s1", "s2"), SCRIPT_EXISTS);
	assert_int_equal(script_rename(s, "s1", "new"), SCRIPT_OK);
	assert_int_equal(script_active(s, name), SCRIPT_OK);
	assert_string_equal(name, "new");
	assert_int_equal(script_activate(s, ""), SCRIPT_OK);
	assert_int_equal(script_delete(s, "new"), SCRIPT_OK);
	store_close(s);
	script_forget();
	box_remove(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_script),
		cmocka_unit_test(test_folders_once),
		cmocka_unit_test(test_replies_once),
		cmocka_unit_test(test_failures_keep),
		cmocka_unit_test(test_scripts),
	};

	charset_preload();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
