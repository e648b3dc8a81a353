/* SPDX-License-Identifier: ISC */
/* The Sieve engine: what compiles, and which actions come of a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/proto/charset.h"
#include "mailbox/sieve/sieve.h"

static const char message[] =
    "Return-Path: <sender@example.net>\r\n"
    "From: Anna <anna@example.net>\r\n"
    "To: user+shop@example.org, \"B, C\" <b@example.com>, bad address\r\n"
    "Cc: undisclosed-recipients:;\r\n"
    "Subject: [acme-users] [fwd] version 1.0 is =?utf-8?q?f=C3=BCr?= you\r\n"
    "Date: Tue, 1 Apr 1997 09:06:31 -0800\r\n"
    "Message-ID: <one@example.net>\r\n"
    "X-Fold: one\r\n  two\r\n"
    "X-Num: 0042 things\r\n"
    "Received: from a; Tue, 1 Apr 1997 09:06:31 -0800\r\n"
    "Received: from b; Wed, 2 Apr 1997 09:06:31 +0000\r\n"
    "Content-Type: multipart/mixed; boundary=outer\r\n"
    "\r\n"
    "before\r\n"
    "--outer\r\n"
    "Content-Type: text/plain; charset=iso-8859-1\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n"
    "\r\n"
    "Hello =FC World\r\n"
    "--outer\r\n"
    "Content-Type: text/html\r\n"
    "\r\n"
    "<style>x{}</style><p>Para <b>bold</b> &amp; more</p>\r\n"
    "--outer\r\n"
    "Content-Type: message/rfc822\r\n"
    "\r\n"
    "From: inner@example.com\r\n"
    "Subject: inner subject\r\n"
    "\r\n"
    "Inner text\r\n"
    "--outer\r\n"
    "Content-Type: application/octet-stream\r\n"
    "Content-Disposition: attachment; filename=\"bar.bin\"\r\n"
    "Content-Transfer-Encoding: base64\r\n"
    "\r\n"
    "SGVsbG8gQjY0\r\n"
    "--outer--\r\n"
    "after\r\n";

#define ALL                                                                            \
	"require [\"fileinto\", \"reject\", \"ereject\", \"envelope\", "               \
	"\"encoded-character\", \"copy\", \"body\", \"environment\", \"variables\", "  \
	"\"vacation\", \"vacation-seconds\", \"relational\", "                         \
	"\"comparator-i;ascii-numeric\", \"comparator-i;unicode-casemap\", "           \
	"\"imap4flags\", \"subaddress\", \"spamtest\", \"spamtestplus\", "             \
	"\"virustest\", \"date\", \"index\", \"editheader\", \"enotify\", \"ihave\", " \
	"\"mailbox\", \"special-use\", \"foreverypart\", \"mime\", \"extracttext\", "  \
	"\"include\", \"duplicate\", \"regex\", \"fcc\"];\n"

static bool seen_before;

static bool
mailbox_exists(const char *name, void *arg)
{
	return strcasecmp(name, "INBOX") == 0 || strcmp(name, "Lists") == 0;
}

static bool
special_use(const char *mailbox, const char *use, void *arg)
{
	return strcasecmp(use, "\\Junk") == 0 &&
	       (mailbox == NULL || strcmp(mailbox, "Spam") == 0);
}

static bool
duplicate(const uint8_t key[32], void *arg)
{
	return seen_before;
}

static int
included(enum sieve_location where, const char *name, char **text, size_t *len, void *arg)
{
	static const struct {
		const char *name, *text;
	} scripts[] = {
		{ "stops", "stop;" },
		{ "returns",
		    "require [\"include\",\"fileinto\"]; fileinto \"in\"; return; "
		    "fileinto \"not\";" },
		{ "self", "require \"include\"; include \"self\";" },
		{ "sets", "require [\"include\",\"variables\"]; global \"g\"; "
			  "set \"g\" \"from-${g}\"; set \"l\" \"inner\";" },
		{ "broken", "nonsense;" },
	};

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
		if (strcmp(scripts[i].name, name) == 0) {
			*text = strdup(scripts[i].text);
			*len = strlen(*text);
			return 0;
		}
	return 1;
}

static const struct sieve_compile env = { .script = included };

static struct sieve_input
input(const char *text)
{
	struct sieve_input in = { .head = "Delivered-To: user@example.org\r\n",
		.head_len = 32,
		.data = text,
		.len = strlen(text),
		.envelope_from = "sender@example.net",
		.envelope_to = "user+shop@example.org",
		.owner = "user@example.org",
		.hostname = "mx.example.org",
		.separator = '+',
		.now = 1700000000,
		.spam = -1,
		.mailbox_exists = mailbox_exists,
		.special_use = special_use,
		.duplicate = duplicate };

	return in;
}

/* What came of it, in words: "fileinto a \Seen; keep". */
static void
run_on(const char *script, const struct sieve_input *in, char *out, size_t cap,
    struct sieve_result *r)
{
	static const char *const names[] = { "keep", "fileinto", "redirect", "reject",
		"reply", "notify", "fcc" };
	struct sieve_errors errors;
	struct sieve_program *p =
	    sieve_compile("test", script, strlen(script), &env, &errors);
	size_t n = 0;

	out[0] = '\0';
	if (p == NULL) {
		sieve_errors_print(&errors, out, cap);
		return;
	}
	sieve_run(p, in, r);
	if (r->status == SIEVE_FAILED)
		n = (size_t)snprintf(out, cap, "failed: ");
	for (size_t i = 0; i < r->n; i++) {
		const struct sieve_action *a = &r->v[i];
		const char *what = a->kind == SIEVE_REJECT ? a->text
				   : a->address != NULL    ? a->address
				   : a->kind == SIEVE_KEEP ? ""
							   : a->mailbox;

		n += (size_t)snprintf(out + n, cap - n, "%s%s%s%s", i > 0 ? "; " : "",
		    names[a->kind], what[0] != '\0' ? " " : "", what);
		if (a->flags != 0 || a->keywords[0] != '\0')
			n += (size_t)snprintf(
			    out + n, cap - n, " [%x %s]", a->flags, a->keywords);
	}
	sieve_free(p);
}

static void
expect(const char *script, const char *wanted)
{
	struct sieve_input in = input(message);
	struct sieve_result r = { 0 };
	char out[2048];

	run_on(script, &in, out, sizeof(out), &r);
	if (strcmp(out, wanted) != 0)
		print_error("%s\n%s\n%s\n", script, out, r.error);
	assert_string_equal(out, wanted);
	sieve_result_clear(&r);
}

static void
test_true(const char *test)
{
	char script[4096];

	snprintf(script, sizeof(script), ALL "if %s { discard; }", test);
	expect(script, "");
	snprintf(script, sizeof(script), ALL "if not %s { discard; }", test);
	expect(script, "keep");
}

static void
value_is(const char *commands, const char *expr, const char *wanted)
{
	char script[4096], want[2048];

	snprintf(script, sizeof(script), ALL "%s\nfileinto \"=%s\";", commands, expr);
	snprintf(want, sizeof(want), "fileinto =%s", wanted);
	expect(script, want);
}

static void
test_actions(void **state)
{
	expect("", "keep");
	expect("keep;", "keep");
	expect("discard;", "");
	expect("stop; discard;", "keep");
	expect(ALL "fileinto \"a\"; fileinto \"b\"; fileinto \"a\";",
	    "fileinto a; fileinto b");
	expect(ALL "fileinto :copy \"a\";", "fileinto a; keep");
	expect(ALL "fileinto \"inbox\"; keep;", "fileinto INBOX");
	expect(ALL "redirect \"x@example.com\"; redirect \"X@example.com\";",
	    "redirect x@example.com");
	expect(
	    ALL "redirect :copy \"X <x@example.com>\";", "redirect x@example.com; keep");
	expect(ALL "redirect \"a@b.c\"; redirect \"b@b.c\"; redirect \"c@b.c\"; "
		   "redirect \"d@b.c\"; redirect \"e@b.c\";",
	    "failed: keep");
	expect(ALL "reject \"no\";", "reject no");
	expect(ALL "ereject \"no\";", "reject no");
	expect(ALL "keep; reject \"no\";", "failed: keep");
	expect(ALL "reject \"no\"; fileinto \"x\";", "failed: keep");
	expect(ALL "reject \"no\"; reject \"no\";", "failed: keep");
	expect(ALL "discard; reject \"no\";", "reject no");
	expect(ALL "error \"out of order\"; discard;", "failed: keep");
	expect(ALL "setflag \"\\\\Seen\"; addflag [\"x y\", \"\\\\Flagged\"]; keep;",
	    "keep [5 x y]");
	expect(ALL "addflag \"x\"; fileinto :flags \"\\\\Deleted z\" \"a\"; keep;",
	    "fileinto a [8 z]; keep [0 x]");
	expect(ALL "addflag \"a\"; removeflag \"A\"; setflag \"\\\\Bogus (x\";", "keep");
}

static void
test_control(void **state)
{
	expect(ALL
	    "if false { discard; } elsif true { fileinto \"a\"; } else { discard; }",
	    "fileinto a");
	expect(ALL
	    "if header \"subject\" \"x\" { discard; } elsif header :contains "
	    "\"subject\" \"acme\" { fileinto \"a\"; } elsif true { fileinto \"b\"; }",
	    "fileinto a");
	expect(
	    ALL "if exists \"nope\" { discard; } else { fileinto \"e\"; }", "fileinto e");
	expect(ALL "include \"stops\"; discard;", "keep");
	expect(ALL "include \"returns\"; fileinto \"out\";", "fileinto in; fileinto out");
	expect(ALL "include :once \"returns\"; include :once \"returns\"; keep;",
	    "fileinto in; keep");
	expect(ALL "include :optional \"nothing\";", "keep");
	value_is("global \"g\"; set \"g\" \"a\"; set \"l\" \"mine\"; include \"sets\";",
	    "${g} ${global.g} ${l}", "from-a from-a mine");
	value_is(
	    "set \"n\" \"\"; foreverypart { set \"n\" \"${n}i\"; }", "${n}", "iiiiii");
	value_is("foreverypart { if header :mime :subtype \"content-type\" \"html\" { "
		 "extracttext :first 10 \"t\"; break; } }",
	    "${t}", "Para bold ");
	value_is("foreverypart :name \"o\" { foreverypart { set \"n\" \"x${n}\"; "
		 "break :name \"o\"; } }",
	    "${n}", "x");
}

static void
test_tests(void **state)
{
	static const char *const true_tests[] = {
		"header :is \"subject\" \"[acme-users] [fwd] version 1.0 is f\xc3\xbcr "
		"you\"",
		"header :is \"x-fold\" \"one  two\"",
		"header :contains [\"x\", \"X-FOLD\"] \"TWO\"",
		"header :matches \"subject\" \"[acme-*\"",
		"header :count \"eq\" :comparator \"i;ascii-numeric\" \"received\" \"2\"",
		"header :value \"eq\" :comparator \"i;ascii-numeric\" \"x-num\" \"42\"",
		"header :index 1 :last :contains \"received\" \"from b\"",
		"header :regex \"subject\" \"^\\\\[(.*)\\\\] version\"",
		"header :comparator \"i;unicode-casemap\" :contains \"subject\" "
		"\"F\xc3\x9cR\"",
		"not header :comparator \"i;octet\" :contains \"subject\" \"ACME\"",
		"header :mime :anychild :param \"filename\" \"content-disposition\" "
		"\"bar.bin\"",
		"header :mime :contenttype \"content-type\" \"multipart/mixed\"",
		"header :mime :anychild \"subject\" \"inner subject\"",
		"address :is \"from\" \"ANNA@example.net\"",
		"address :domain \"to\" \"example.com\"",
		"address :user \"to\" \"user\"",
		"address :detail \"to\" \"shop\"",
		"not address :detail :contains \"from\" \"\"",
		"address :count \"eq\" :comparator \"i;ascii-numeric\" \"to\" \"2\"",
		"address :is \"cc\" \"undisclosed-recipients:;\"",
		"envelope :is \"from\" \"sender@example.net\"",
		"envelope :detail \"to\" \"shop\"",
		"exists [\"from\", \"delivered-to\"]",
		"not exists [\"from\", \"nope\"]",
		"size :over 500",
		"size :under 10K",
		"body :contains \"Hello \xc3\xbc\"",
		"body :contains \"bold & more\"",
		"not body :contains \"x{}\"",
		"body :raw :contains \"SGVsbG8\"",
		"body :content \"application/octet-stream\" :is \"Hello B64\"",
		"body :content \"message\" :contains \"inner subject\"",
		"body :content \"multipart\" :contains \"before\"",
		"body :content \"multipart\" :contains \"after\"",
		"not body :content \"/\" :contains \"\"",
		"date \"date\" \"hour\" \"17\"",
		"date :originalzone \"date\" \"iso8601\" \"1997-04-01T09:06:31-08:00\"",
		"date :zone \"+0100\" \"date\" \"time\" \"18:06:31\"",
		"date \"date\" \"weekday\" \"2\"",
		"date \"date\" \"julian\" \"50539\"",
		"date :index 2 \"received\" \"day\" \"02\"",
		"currentdate \"year\" \"2023\"",
		"environment \"host\" \"mx.example.org\"",
		"not environment :contains \"nonsense\" \"\"",
		"string :is [\"a\", \"b\"] \"b\"",
		"string :count \"eq\" :comparator \"i;ascii-numeric\" [\"a\", \"\"] "
		"\"1\"",
		"mailboxexists [\"INBOX\", \"Lists\"]",
		"not mailboxexists [\"INBOX\", \"Other\"]",
		"specialuse_exists \"\\\\Junk\"",
		"specialuse_exists \"Spam\" \"\\\\Junk\"",
		"not specialuse_exists [\"\\\\Junk\", \"\\\\Sent\"]",
		"valid_notify_method \"mailto:a@b.c?subject=x\"",
		"not valid_notify_method \"tel:1\"",
		"notify_method_capability \"mailto:a@b.c\" \"online\" \"maybe\"",
		"spamtest :value \"eq\" :comparator \"i;ascii-numeric\" \"0\"",
		"spamtest :percent :count \"eq\" :comparator \"i;ascii-numeric\" \"0\"",
		"virustest \"0\"",
	};

	for (size_t i = 0; i < sizeof(true_tests) / sizeof(true_tests[0]); i++) {
		const char *t = true_tests[i];

		test_true(t);
	}
	expect(ALL "if allof(ihave \"nope\", bogus) { more; } else { discard; }", "");
	seen_before = false;
	expect(ALL "if duplicate { discard; }", "keep");
	seen_before = true;
	expect(ALL "if duplicate { discard; }", "");
	expect(ALL "if duplicate :header \"x-none\" { discard; }", "keep");
	seen_before = false;
}

static void
test_variables(void **state)
{
	static const struct {
		const char *commands, *expr, *wanted;
	} rows[] = {
		{ "set \"a\" \"x\";", "${a}${A}${b}|${a|$a|${}", "xx|${a|$a|${}" },
		{ "set \"a\" \"$\"; set \"b\" \"${a}{a}\";", "${b}", "${a}" },
		{ "set :upper \"a\" \"he\xc3\xbc\";", "${a}", "HE\xc3\xbc" },
		{ "set :lower :upperfirst \"a\" \"HELLO\";", "${a}", "Hello" },
		{ "set :length \"a\" \"h\xc3\xbc\";", "${a}", "2" },
		{ "set :quotewildcard \"a\" \"*?\\\\x\";", "${a}", "\\*\\?\\\\x" },
		{ "set :encodeurl \"a\" \"a b&\xc3\xbc\";", "${a}", "a%20b%26%C3%BC" },
		{ "set \"a\" \"${hex:40}${unicode:fc}\";", "${a}", "@\xc3\xbc" },
		{ "if header :matches \"subject\" \"[*] *\" {}", "${1}|${2}",
		    "acme-users|[fwd] version 1.0 is f\xc3\xbcr you" },
		{ "if header :matches \"subject\" \"*[*]*\" {}", "${1}|${2}|${3}",
		    "|acme-users| [fwd] version 1.0 is f\xc3\xbcr you" },
		{ "if header :matches \"subject\" \"?a*s?*\" {}", "${1}|${2}|${3}",
		    "[|cme-u|e" },
		{ "if string :matches \"a*b\" \"a\\\\*?\" {}", "${0}|${1}", "a*b|b" },
		{ "if header :regex \"subject\" \"(zz)?(ver)\" {}", "${0}|${1}|${2}",
		    "ver||ver" },
		{ "if string :matches \"ab\" \"*\" { if string :matches \"c\" \"d*\" {} "
		  "}",
		    "${1}", "ab" },
		{ "setflag \"v\" \"a b\"; addflag \"v\" \"C A\"; removeflag \"v\" \"B\";",
		    "${v}", "a C" },
		{ "set \"v\" \"x y\"; if hasflag \"v\" \"q y\" { set \"r\" \"1\"; }",
		    "${r}", "1" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		value_is(rows[i].commands, rows[i].expr, rows[i].wanted);
}

static void
test_edit(void **state)
{
	struct sieve_input in =
	    input("Subject: s\r\nX: 1\r\nX: 2\r\nX: 3\r\n\r\nbody\r\n");
	struct sieve_result r = { 0 };
	char out[1024];

	run_on(ALL
	    "addheader \"X-New\" \"v\xc3\xbc\"; addheader :last \"X-Last\" \"a\r\nb\"; "
	    "deleteheader :index 1 :last \"x\"; deleteheader :is \"x\" \"1\"; "
	    "deleteheader \"received\"; "
	    "if not exists \"x-new\" { discard; } "
	    "if header \"x\" [\"1\", \"3\"] { discard; } keep;",
	    &in, out, sizeof(out), &r);
	assert_string_equal(out, "keep");
	assert_non_null(r.v[0].header);
	snprintf(out, sizeof(out), "%.*s", (int)r.v[0].header_len, r.v[0].header);
	assert_string_equal(out,
	    "X-New: =?UTF-8?B?dsO8?=\r\n"
	    "Delivered-To: user@example.org\r\nSubject: s\r\nX: 2\r\n"
	    "X-Last: a b\r\n\r\n");
	assert_string_equal(in.data + r.body_off, "body\r\n");
	sieve_result_clear(&r);
}

static void
vacation_case(const char *text, const char *from, const char *args, const char *wanted)
{
	struct sieve_input in = input(text);
	struct sieve_result r = { 0 };
	char script[1024], out[1024];

	in.envelope_from = from;
	snprintf(script, sizeof(script), ALL "vacation %s \"I am away\";", args);
	run_on(script, &in, out, sizeof(out), &r);
	if (strcmp(out, wanted) != 0)
		print_error("%s: %s (%s)\n", args, out, r.notes);
	assert_string_equal(out, wanted);
	if (r.n > 1) {
		const char *m = r.v[0].message;

		assert_non_null(strstr(m, "Auto-Submitted: auto-replied (vacation)\r\n"));
		assert_non_null(strstr(m, "\r\n\r\nI am away\r\n"));
		assert_non_null(strstr(m, "In-Reply-To: <i@x>\r\n"));
		assert_string_equal(r.v[0].reverse_path, "");
	}
	sieve_result_clear(&r);
}

#define MAIL "Message-ID: <i@x>\r\nSubject: hi\r\n"

static void
test_vacation(void **state)
{
	static const char ok[] = MAIL "To: user@example.org\r\n\r\n";

	vacation_case(ok, "s@e.net", "", "reply s@e.net; keep");
	vacation_case(ok, "s@e.net", ":fcc \"Sent\"", "reply s@e.net; fcc Sent; keep");
	vacation_case(ok, "", "", "keep");
	vacation_case(ok, "user@example.org", "", "keep");
	vacation_case(ok, "mailer-daemon@e.net", "", "keep");
	vacation_case(ok, "owner-list@e.net", "", "keep");
	vacation_case(ok, "list-request@e.net", "", "keep");
	vacation_case(MAIL "To: other@example.org\r\n\r\n", "s@e.net", "", "keep");
	vacation_case(MAIL "To: other@example.org\r\n\r\n", "s@e.net",
	    ":addresses \"other@example.org\"", "reply s@e.net; keep");
	vacation_case(
	    MAIL "To: user@example.org\r\nList-Id: <x>\r\n\r\n", "s@e.net", "", "keep");
	vacation_case(MAIL "To: user@example.org\r\nAuto-Submitted: auto-replied\r\n\r\n",
	    "s@e.net", "", "keep");
	vacation_case(MAIL "To: user@example.org\r\nAuto-Submitted: no\r\n\r\n",
	    "s@e.net", "", "reply s@e.net; keep");
	vacation_case(MAIL "To: user@example.org\r\nPrecedence: bulk\r\n\r\n", "s@e.net",
	    "", "keep");
	expect(ALL "notify \"mailto:a@example.com\"; discard;", "notify a@example.com");
	expect(ALL "notify :message \"m\" \"mailto:a@example.com,b@example.com\"; keep;",
	    "notify a@example.com; notify b@example.com; keep");
}

static void
test_errors(void **state)
{
	static const struct {
		const char *script, *wanted;
	} rows[] = {
		{ "keep",
		    "test: line 1, column 5: expected ';' or a block, but found the end "
		    "of the script" },
		{ "\n  fileinto \"a\";",
		    "test: line 2, column 3: unknown command \"fileinto\": require "
		    "\"fileinto\" is missing" },
		{ "require \"nope\";",
		    "test: line 1, column 9: unknown extension \"nope\"" },
		{ "nonsense;", "test: line 1, column 1: unknown command \"nonsense\"" },
		{ ALL "redirect \"a\";", "test: line 2, column 10: redirect to \"a\" is "
					 "no address: it is not of "
					 "the form local-part@domain" },
		{ ALL "include \"self\";",
		    "self: line 1, column 20: script \"self\" includes itself" },
		{ ALL "include \"broken\";",
		    "broken: line 1, column 1: unknown command \"nonsense\"" },
		{ ALL "set \"1\" \"x\";",
		    "test: line 2, column 5: the match variable \"1\" cannot be set" },
	};
	struct sieve_errors e;
	char out[512];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_null(sieve_compile(
		    "test", rows[i].script, strlen(rows[i].script), &env, &e));
		sieve_errors_print(&e, out, sizeof(out));
		assert_string_equal(out, rows[i].wanted);
	}
	/* All mistakes are told. */
	assert_null(sieve_compile("test", "foo; keep; bar;", 15, &env, &e));
	assert_int_equal(e.n, 2);
}

static void
test_bounds(void **state)
{
	size_t cap = 400000, n;
	char *s = malloc(cap);
	struct sieve_errors e;
	struct sieve_input in = input(message);
	struct sieve_result r = { 0 };
	char out[256];

	assert_non_null(s);
	n = 0;
	for (int i = 0; i < 1000; i++)
		n += (size_t)snprintf(s + n, cap - n, "if true {");
	assert_null(sieve_compile("deep", s, n, &env, &e));
	n = (size_t)snprintf(s, cap, "if ");
	for (int i = 0; i < 1000; i++)
		n += (size_t)snprintf(s + n, cap - n, "not ");
	assert_null(sieve_compile("deep", s, n, &env, &e));
	/* A variable doubles only up to its bound. */
	n = (size_t)snprintf(s, cap, ALL "set \"a\" \"0123456789abcdef\";");
	for (int i = 0; i < 40; i++)
		n += (size_t)snprintf(s + n, cap - n, "set \"a\" \"${a}${a}\";");
	n += (size_t)snprintf(
	    s + n, cap - n, "set :length \"l\" \"${a}\"; fileinto \"${l}\";");
	run_on(s, &in, out, sizeof(out), &r);
	assert_string_equal(out, "fileinto 65536");
	sieve_result_clear(&r);
	/* Too much work ends the run, with the message kept. */
	n = (size_t)snprintf(s, cap, ALL);
	n += (size_t)snprintf(s + n, cap - n,
	    "if string :regex \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\" "
	    "\"^(a+)+$\" { discard; }");
	run_on(s, &in, out, sizeof(out), &r);
	assert_string_equal(out, "failed: keep");
	sieve_result_clear(&r);
	in.steps_max = 10;
	run_on("keep;keep;keep;keep;keep;keep;keep;keep;keep;keep;keep;discard;", &in,
	    out, sizeof(out), &r);
	assert_string_equal(out, "failed: keep");
	sieve_result_clear(&r);
	free(s);
}

/* The scripts in the manual compile. */
static void
test_manual(void **state)
{
	FILE *f = fopen("man/fife-sieve.7", "r");
	char line[512], script[8192] = "";
	struct sieve_errors e;
	int inside = 0, seen = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, ".Bd -literal", 12) == 0) {
			inside = 1;
			script[0] = '\0';
		} else if (strncmp(line, ".Ed", 3) == 0) {
			struct sieve_program *p;

			inside = 0;
			if (strncmp(script, "require", 7) != 0)
				continue;
			p = sieve_compile("manual", script, strlen(script), &env, &e);
			if (p == NULL)
				sieve_errors_print(&e, line, sizeof(line));
			if (p == NULL)
				print_error("%s\n", line);
			assert_non_null(p);
			sieve_free(p);
			seen++;
		} else if (inside) {
			size_t n = strlen(script);
			const char *s = strncmp(line, "\\&", 2) == 0 ? line + 2 : line;

			for (; *s != '\0' && n + 1 < sizeof(script); s++) {
				script[n++] = *s;
				if (s[0] == '\\' && s[1] == 'e')
					s++;
			}
			script[n] = '\0';
		}
	}
	fclose(f);
	assert_int_equal(seen, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_tests),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_edit),
		cmocka_unit_test(test_vacation),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_manual),
	};

	charset_preload();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
