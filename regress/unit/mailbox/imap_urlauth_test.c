/* SPDX-License-Identifier: ISC */
/* GENURLAUTH, RESETKEY and URLFETCH, and what URLs open for others. */
#include "regress/unit/mailbox/imap_fixture.h"

#include "mailbox/imap_reply.h"
#include "mailbox/imap_url.h"
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
	    urlauth_open(store, OWNER, &who, url, strlen(url), 0, now, &part);

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

#define PARTS                                                                         \
	"Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"             \
	"--b\r\nContent-Type: text/plain; charset=us-ascii\r\n"                       \
	"Content-Transfer-Encoding: base64\r\n\r\n aGVs \r\nbG8=\r\n\r\n"             \
	"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" \
	"AAD/\r\n"                                                                    \
	"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: "              \
	"x-odd\r\n\r\n?\r\n"                                                          \
	"--b\r\nContent-Type: message/rfc822\r\n\r\n"                                 \
	"Subject: in\r\nContent-Type: text/plain\r\n"                                 \
	"Content-Transfer-Encoding: quoted-printable\r\n\r\n=FC=\r\nx\r\n"            \
	"--b--\r\n"

/* What URLFETCH says of it; each is tried with the items in either order. */
static void
items(void **state)
{
	static const struct {
		const char *part, *items;
		const char *want;
		size_t len; /* 0: strlen() */
	} some[] = {
		{ "/;SECTION=1", "", "{14}\r\n aGVs \r\nbG8=\r\n\r\n", 0 },
		{ "/;SECTION=1", " body", "(BODY {14}\r\n aGVs \r\nbG8=\r\n)\r\n", 0 },
		{ "/;SECTION=1", " BINARY", "(BINARY {5}\r\nhello)\r\n", 0 },
		{ "/;SECTION=1/;PARTIAL=1.3", " BINARY", "(BINARY {3}\r\nell)\r\n", 0 },
		{ "/;SECTION=1", " BODYPARTSTRUCTURE",
		    "(BODYPARTSTRUCTURE (\"text\" \"plain\" (\"charset\" \"us-ascii\") "
		    "NIL "
		    "NIL \"base64\" 14 2 NIL NIL NIL NIL))\r\n",
		    0 },
		{ "/;SECTION=1", " BINARY BODYPARTSTRUCTURE",
		    "(BODYPARTSTRUCTURE (\"text\" \"plain\" (\"charset\" \"us-ascii\") "
		    "NIL "
		    "NIL \"7bit\" 5 0 NIL NIL NIL NIL)) (BINARY {5}\r\nhello)\r\n",
		    0 },
		{ "/;SECTION=1", " BODYPARTSTRUCTURE BODY",
		    "(BODYPARTSTRUCTURE (\"text\" \"plain\" (\"charset\" \"us-ascii\") "
		    "NIL "
		    "NIL \"base64\" 14 2 NIL NIL NIL NIL)) (BODY {14}\r\n aGVs "
		    "\r\nbG8=\r\n)\r\n",
		    0 },
#define NULS                                                                          \
	"(BODYPARTSTRUCTURE (\"image\" \"png\" NIL NIL NIL \"binary\" 3 NIL NIL NIL " \
	"NIL)) "                                                                      \
	"(BINARY ~{3}\r\n\0\0\377)\r\n"
		{ "/;SECTION=2", " BODYPARTSTRUCTURE BINARY", NULS, sizeof(NULS) - 1 },
		{ "/;SECTION=3", " BINARY", "(BINARY NIL)\r\n", 0 },
		{ "/;SECTION=3", " BODYPARTSTRUCTURE BINARY",
		    "(BODYPARTSTRUCTURE (\"text\" \"plain\" NIL NIL NIL \"x-odd\" 1 0 "
		    "NIL NIL NIL NIL)) (BINARY NIL)\r\n",
		    0 },
		{ "/;SECTION=4", " BODYPARTSTRUCTURE BINARY",
		    "(BODYPARTSTRUCTURE (\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 93 "
		    "(NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" "
		    "NIL "
		    "NIL NIL \"quoted-printable\" 7 1 NIL NIL NIL NIL) 5 NIL NIL NIL "
		    "NIL)) (BINARY {93}\r\nSubject: in\r\n",
		    0 },
		{ "/;SECTION=4.1", " BODYPARTSTRUCTURE BINARY",
		    "(BODYPARTSTRUCTURE (\"text\" \"plain\" NIL NIL NIL \"8bit\" 2 0 NIL "
		    "NIL NIL NIL)) (BINARY {2}\r\n\374x)\r\n",
		    0 },
		{ "/;SECTION=4.HEADER", " BODYPARTSTRUCTURE",
		    "(BODYPARTSTRUCTURE (\"text\" \"rfc822-headers\" NIL NIL NIL "
		    "\"7bit\" "
		    "86 4 NIL NIL NIL NIL))\r\n",
		    0 },
		{ "", " BODYPARTSTRUCTURE", "(BODYPARTSTRUCTURE ((\"text\" ", 0 },
		{ "/;SECTION=200", " BODYPARTSTRUCTURE BODY", "NIL\r\n", 0 },
		{ "/;SECTION=3.1", " BODYPARTSTRUCTURE", "NIL\r\n", 0 },
	};
	struct evbuffer *out = evbuffer_new();
	struct imap *s = imap_new(store, NULL, NULL);

	imap_set_owner(s, OWNER);
	append(s, 100, "INBOX", "", PARTS);
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		size_t len = some[i].len != 0 ? some[i].len : strlen(some[i].want), n;
		char rump[256], *url, line[4600], head[4600];
		const char *got;

		snprintf(rump, sizeof(rump),
		    "imap://alice@h/INBOX/;UID=1%s;URLAUTH=authuser", some[i].part);
		url = authorise(rump);
		snprintf(
		    line, sizeof(line), "a URLFETCH (\"%s\"%s)\r\n", url, some[i].items);
		n = (size_t)snprintf(head, sizeof(head), "* URLFETCH \"%s\" ", url);
		for (size_t step = 1; step < 10000; step *= 99) {
			drive(s, line, strlen(line), step, out);
			evbuffer_add(out, "", 1);
			got = (const char *)evbuffer_pullup(out, -1);
			assert_true(evbuffer_get_length(out) > n + len);
			assert_memory_equal(got, head, n);
			if (memcmp(got + n, some[i].want, len) != 0)
				fail_msg("%s: got %s", some[i].part, got + n);
			evbuffer_drain(out, evbuffer_get_length(out));
		}
		free(url);
	}
	evbuffer_free(out);
	say(s, 7,
	    "a URLFETCH (x BODY BINARY)\r\nb URLFETCH (x BINARY BINARY)\r\n"
	    "c URLFETCH (x other)\r\nd URLFETCH (x BODY\r\ne URLFETCH (x) (y BODY) z\r\n"
	    "f URLFETCH ()\r\n",
	    "a BAD @\r\nb BAD @\r\nc BAD @\r\nd BAD @\r\n* URLFETCH \"x\" NIL\r\n"
	    "* URLFETCH \"y\" NIL\r\n* URLFETCH \"z\" NIL\r\ne OK URLFETCH "
	    "completed\r\nf BAD @\r\n");
	imap_free(s);
}

/* What another mailbox's process says is a structure goes to the client. */
static void
lists(void **state)
{
	static const char *const good[] = { "()", "(NIL)", "(\"a)\" {2}\r\n)\n 12 (x))",
		"(\"\\\"\" {0}\r\n)" };
	static const char *const bad[] = { "", "x", "\"x\"", "(", "(()", "())", "() ()",
		"(a\r\nb OK)", "(\"a)", "(\"a\r\n\")", "(\"\\\")", "({3}\r\nx)",
		"({}\r\n)", "({9999999999999999999999}\r\n)", "({1}\n))", " ()", "(\001)",
		"(\"a\\" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!imap_reply_is_list(good[i], strlen(good[i])))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (imap_reply_is_list(bad[i], strlen(bad[i])))
			fail_msg("%s", bad[i]);
	assert_false(imap_reply_is_list("(\"\0\")", 5));
	assert_false(imap_reply_is_list("({1}\r\n\0)", 8));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_may, setup, teardown),
		cmocka_unit_test_setup_teardown(tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(keys, setup, teardown),
		cmocka_unit_test_setup_teardown(dialogue, setup, teardown),
		cmocka_unit_test_setup_teardown(items, setup, teardown),
		cmocka_unit_test(lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
