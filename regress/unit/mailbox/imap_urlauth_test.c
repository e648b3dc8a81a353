/* SPDX-License-Identifier: ISC */
/* GENURLAUTH, RESETKEY and URLFETCH, and what URLs open for others. */
#include "regress/unit/mailbox/imap_fixture.h"

#include "mailbox/urlauth.h"

#define OWNER "alice@example.test"
#define RUMP(access) "imap://alice%40example.test@h/INBOX/;UID=1;URLAUTH=" access

/* The URL that the rump becomes. */
static char *
authorise(const char *rump)
{
	char token[URLAUTH_TOKEN_SIZE], *url = malloc(4096);
	struct folder *f;

	assert_non_null(url);
	assert_int_equal(folder_open(store, "INBOX", &f), STORE_OK);
	assert_int_equal(urlauth_token(store, f, rump, strlen(rump), token), STORE_OK);
	folder_close(f);
	snprintf(url, 4096, "%s:INTERNAL:%s", rump, token);
	return url;
}

static enum urlauth_status
open_as(const char *url, const char *address, bool submits, int64_t now)
{
	struct urlauth_asker who = { address, submits };
	struct urlauth_part part;
	enum urlauth_status st =
	    urlauth_open(store, OWNER, &who, url, strlen(url), false, now, &part);

	if (st == URLAUTH_OK) {
		assert_int_equal(part.octets.len, sizeof(M1) - 1);
		assert_memory_equal(part.octets.data, M1, sizeof(M1) - 1);
		urlauth_part_clear(&part);
	}
	return st;
}

static void
put_one(void)
{
	struct imap *s = imap_new(store, NULL, NULL);

	append(s, 100, "INBOX", "", M1);
	imap_free(s);
}

static void
who_may(void **state)
{
	static const struct {
		const char *rump, *address;
		bool submits;
		int64_t now;
		enum urlauth_status st;
	} some[] = {
		{ RUMP("anonymous"), "x@y.z", false, 0, URLAUTH_OK },
		{ RUMP("authuser"), "x@y.z", true, 0, URLAUTH_OK },
		{ RUMP("anonymous"), "", false, 0, URLAUTH_BAD },
		{ RUMP("user+bob"), "bob@example.test", false, 0, URLAUTH_OK },
		{ RUMP("user+bob"), "bob@other.test", false, 0, URLAUTH_BAD },
		{ RUMP("user+bob%40other.test"), "bob@other.test", false, 0, URLAUTH_OK },
		{ RUMP("submit+bob"), "bob@example.test", false, 0, URLAUTH_BAD },
		{ RUMP("submit+bob"), "bob@example.test", true, 0, URLAUTH_OK },
		{ RUMP("submit+bob"), "alice@example.test", true, 0, URLAUTH_BAD },
		{ "imap://alice@h/INBOX/"
		  ";UID=1;EXPIRE=1970-01-01T00:01:00Z;URLAUTH=authuser",
		    "x@y.z", false, 60, URLAUTH_OK },
		{ "imap://alice@h/INBOX/"
		  ";UID=1;EXPIRE=1970-01-01T00:01:00Z;URLAUTH=authuser",
		    "x@y.z", false, 61, URLAUTH_BAD },
		{ "imap://alice@h/INBOX/;UID=2;URLAUTH=authuser", "x@y.z", false, 0,
		    URLAUTH_ABSENT },
		{ "imap://alice@h/INBOX;UIDVALIDITY=1/;UID=1;URLAUTH=authuser", "x@y.z",
		    false, 0, URLAUTH_ABSENT },
		{ "imap://alice@h/INBOX/;UID=1/;SECTION=7;URLAUTH=authuser", "x@y.z",
		    false, 0, URLAUTH_ABSENT },
		{ "imap://bob@h/INBOX/;UID=1;URLAUTH=authuser", "x@y.z", false, 0,
		    URLAUTH_BAD },
		{ "imap://alice@h/INBOX;URLAUTH=authuser", "x@y.z", false, 0,
		    URLAUTH_BAD },
	};

	put_one();
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		char *url = authorise(some[i].rump);
		enum urlauth_status st =
		    open_as(url, some[i].address, some[i].submits, some[i].now);

		if (st != some[i].st)
			fail_msg("%s for %s: %d", some[i].rump, some[i].address, st);
		free(url);
	}
}

/* Each octet of it counts. */
static void
tokens(void **state)
{
	char *url, c;

	put_one();
	url = authorise(RUMP("anonymous"));
	for (size_t i = 0; i < strlen(url); i++) {
		c = url[i];
		url[i] = c == '1' ? '2' : '1';
		if (open_as(url, "x@y.z", false, 0) == URLAUTH_OK)
			fail_msg("opened: %s", url);
		url[i] = c;
	}
	assert_int_equal(open_as(url, "x@y.z", false, 0), URLAUTH_OK);
	url[strlen(url) - 1] = '\0';
	assert_int_equal(open_as(url, "x@y.z", false, 0), URLAUTH_BAD);
	free(url);
}

static void
keys(void **state)
{
	struct folder *f;
	char *url, *again;
	int fd;

	put_one();
	url = authorise(RUMP("anonymous"));
	again = authorise(RUMP("anonymous"));
	assert_string_equal(url, again);
	free(again);
	/* They outlive the process. */
	store_close(store);
	assert_int_equal(store_open(dirfd_, 0, &store), STORE_OK);
	assert_int_equal(open_as(url, "x@y.z", false, 0), URLAUTH_OK);
	assert_int_equal(folder_open(store, "INBOX", &f), STORE_OK);
	assert_int_equal(urlauth_reset(store, f), STORE_OK);
	folder_close(f);
	assert_int_equal(open_as(url, "x@y.z", false, 0), URLAUTH_BAD);
	free(url);
	url = authorise(RUMP("anonymous"));
	assert_int_equal(open_as(url, "x@y.z", false, 0), URLAUTH_OK);
	assert_int_equal(urlauth_reset(store, NULL), STORE_OK);
	assert_int_equal(open_as(url, "x@y.z", false, 0), URLAUTH_BAD);
	free(url);
	/* A damaged file opens nothing, and is mended by the next key. */
	fd = openat(dirfd_, "fife-urlauth", O_WRONLY | O_TRUNC);
	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, "xyz\n0123456789\n", 15), 15);
	close(fd);
	url = authorise(RUMP("anonymous"));
	assert_int_equal(open_as(url, "x@y.z", false, 0), URLAUTH_OK);
	free(url);
}

static void
dialogue(void **state)
{
	for (size_t step = 1; step < 1000; step *= 9) {
		struct imap *s = imap_new(store, NULL, NULL);

		imap_set_owner(s, OWNER);
		say(s, step, "a GENURLAUTH \"" RUMP("anonymous") "\" INTERNAL\r\n",
		    "* GENURLAUTH @\r\na OK GENURLAUTH completed\r\n");
		say(s, step, "a GENURLAUTH \"" RUMP("x") "\" INTERNAL\r\n",
		    "a BAD That is no URL that can be authorised\r\n");
		say(s, step,
		    "a GENURLAUTH \"imap://bob@h/INBOX/;UID=1;URLAUTH=authuser\" "
		    "INTERNAL\r\n",
		    "a BAD The URL is about somebody else's mailbox\r\n");
		say(s, step, "a GENURLAUTH x\r\nb URLFETCH\r\nc URLFETCH x\r\n",
		    "a BAD @\r\nb BAD @\r\n* URLFETCH \"x\" NIL\r\nc OK URLFETCH "
		    "completed\r\n");
		/* Another's process cannot be asked here. */
		say(s, step,
		    "a URLFETCH imap://bob@h/x/;UID=1;URLAUTH=authuser:INTERNAL:"
		    "91354a473744909de610943775f92038\r\n",
		    "* URLFETCH @\r\na OK URLFETCH completed\r\n");
		say(s, step,
		    "a RESETKEY INBOX INTERNAL\r\nb RESETKEY nope\r\nc RESETKEY\r\n",
		    "a OK [URLMECH INTERNAL] RESETKEY completed\r\nb NO [NONEXISTENT] "
		    "@\r\n"
		    "c OK All keys removed\r\n");
		imap_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_may, setup, teardown),
		cmocka_unit_test_setup_teardown(tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(keys, setup, teardown),
		cmocka_unit_test_setup_teardown(dialogue, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
