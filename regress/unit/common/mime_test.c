/* SPDX-License-Identifier: ISC */
/*
 * mime.c: trees are printed as text and compared; boundaries on malformed mail, sections,
 * parameters, bounds, linear time, and the messages of ../shared/data/mail where they
 * are.
 */
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/proto/mime.h"

/* type/subtype'body' for leaves; [..] children of multiparts, {..} of messages. */
static size_t
print_part(const struct mime_tree *t, const char *buf, int i, char *out, size_t cap)
{
	const struct mime_part *p = &t->parts[i];
	size_t n = 0;

	n += (size_t)snprintf(out, cap, "%s/%s", p->type, p->subtype);
	if (p->kind == MIME_LEAF) {
		n += (size_t)snprintf(
		    out + n, cap - n, "'%.*s'", (int)mime_body_len(p), buf + p->body_off);
		return n;
	}
	n += (size_t)snprintf(
	    out + n, cap - n, "%c", p->kind == MIME_MULTIPART ? '[' : '{');
	for (int c = p->child; c != -1; c = t->parts[c].next) {
		n += print_part(t, buf, c, out + n, cap - n);
		if (t->parts[c].next != -1)
			n += (size_t)snprintf(out + n, cap - n, " ");
	}
	n += (size_t)snprintf(
	    out + n, cap - n, "%c", p->kind == MIME_MULTIPART ? ']' : '}');
	return n;
}

static uint32_t
count_lf(const char *s, size_t len)
{
	uint32_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += s[i] == '\n';
	return n;
}

/* What holds for every tree. */
static void
check_tree(const struct mime_tree *t, const char *buf, size_t len)
{
	assert_true(t->nparts >= 1);
	for (unsigned int i = 0; i < t->nparts; i++) {
		const struct mime_part *p = &t->parts[i], *up;
		size_t from = p->body_off;
		unsigned int n = 0;

		assert_true(p->header_off <= p->body_off && p->body_off <= p->body_end &&
			    p->body_end <= len);
		assert_int_equal(p->header_lines,
		    count_lf(buf + p->header_off, p->body_off - p->header_off));
		assert_int_equal(
		    p->body_lines, count_lf(buf + p->body_off, mime_body_len(p)));
		for (int c = p->child; c != -1; c = t->parts[c].next, n++) {
			assert_int_equal(t->parts[c].parent, i);
			assert_true(t->parts[c].header_off >= from);
			from = t->parts[c].body_end;
		}
		assert_int_equal(n, p->children);
		assert_int_equal(
		    p->kind == MIME_MESSAGE, p->kind != MIME_MULTIPART && n == 1);
		if (p->parent != -1) {
			up = &t->parts[p->parent];
			assert_true(
			    p->depth == up->depth + 1 && p->header_off >= up->body_off);
			assert_true(
			    p->body_end <= up->body_end || p->body_end == p->body_off);
		}
	}
}

#define H(b) "Content-Type: multipart/mixed; boundary=" b "\r\n\r\n"

static void
test_trees(void **state)
{
	static const char *rows[][2] = {
		{ "", "text/plain''" },
		{ "\r\n", "text/plain''" },
		{ "Subject: x\r\n\r\nhello\r\n", "text/plain'hello\r\n'" },
		{ "Subject: x", "text/plain''" },
		{ "Content-Type: text\r\n\r\nx", "text/plain'x'" },
		{ "Content-Type: TEXT / html ; a=b\r\n\r\nx", "text/html'x'" },
		{ H("b") "pre\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: "
			 "text/html\r\n\r\ntwo\r\n\r\n--b--\r\nepi\r\n--b\r\n",
		    "multipart/mixed[text/plain'one' text/html'two\r\n']" },
		/* LF only. */
		{ "Content-Type: multipart/mixed; "
		  "boundary=\"b\"\n\n--b\n\none\n--b\n\ntwo\n--b--\n",
		    "multipart/mixed[text/plain'one' text/plain'two']" },
		/* No end, white space after the boundary, no line end at the end. */
		{ H("b") "--b \t\r\n\r\none\r\n--b\r\n\r\ntwo\r\n",
		    "multipart/mixed[text/plain'one' text/plain'two\r\n']" },
		{ H("b") "--b\r\n\r\none\r\n--b--", "multipart/mixed[text/plain'one']" },
		/* Empty parts; a boundary within a header. */
		{ H("b") "--b\r\n--b\r\n\r\n--b\r\n\r\n\r\n--b--",
		    "multipart/mixed[text/plain'' text/plain'' text/plain'']" },
		{ H("b") "--b\r\nContent-Type: text/html\r\n--b--\r\n",
		    "multipart/mixed[text/html'']" },
		/* A boundary that is the beginning of another: the longer one wins. */
		{ H("b") "--b\r\n" H(
		      "bb") "--bb\r\n\r\nin\r\n--bb--\r\n--b\r\n\r\nout\r\n--b--\r\n",
		    "multipart/mixed[multipart/mixed[text/plain'in'] text/plain'out']" },
		{ H("bb") "--bb\r\n" H("b") "--b\r\n\r\nin\r\n--b\r\n\r\nin2\r\n--"
					    "bb\r\n\r\nout\r\n--bb--\r\n",
		    "multipart/mixed[multipart/mixed[text/plain'in' text/plain'in2'] "
		    "text/plain'out']" },
		/* The same boundary twice: the innermost, until it is closed. */
		{ H("b") "--b\r\n" H(
		      "b") "--b\r\n\r\nin\r\n--b--\r\n--b\r\n\r\nout\r\n--b--\r\n",
		    "multipart/mixed[multipart/mixed[text/plain'in'] text/plain'out']" },
		/* The inner end is missing: the outer boundary ends both. */
		{ H("o") "--o\r\n" H(
		      "i") "--i\r\n\r\nin\r\n--o\r\n\r\nout\r\n--o--\r\n--i\r\n",
		    "multipart/mixed[multipart/mixed[text/plain'in'] text/plain'out']" },
		/* Nested messages. */
		{ "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nhi",
		    "message/rfc822{text/plain'hi'}" },
		{ H("o") "--o\r\nContent-Type: message/rfc822\r\n\r\n" H(
		      "i") "--i\r\n\r\nin\r\n--i--\r\n--o\r\n\r\nout\r\n--o--\r\n",
		    "multipart/mixed[message/rfc822{multipart/mixed[text/plain'in']} "
		    "text/plain'out']" },
		{ H("o") "--o\r\nContent-Type: message/rfc822\r\n\r\n--o--\r\n",
		    "multipart/mixed[message/rfc822{text/plain''}]" },
		{ H("o") "--o\r\nContent-Type: message/rfc822\r\n--o--\r\n",
		    "multipart/mixed[message/rfc822'']" },
		{ "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: "
		  "a\r\n\r\nA\r\n--d\r\nContent-Type: text/plain\r\n\r\nB\r\n--d--",
		    "multipart/digest[message/rfc822{text/plain'A'} text/plain'B']" },
		/* No boundary parameter, or no boundary line. */
		{ "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx",
		    "multipart/mixed[]" },
		{ H("b") "nothing\r\n", "multipart/mixed[]" },
		{ H("b") " --b\r\nx--b\r\n-b\r\n--\r\n", "multipart/mixed[]" },
		{ "Content-Type: multipart/mixed; boundary*0=a; "
		  "boundary*1=b\r\n\r\n--ab\r\n\r\nx\r\n--ab--",
		    "multipart/mixed[text/plain'x']" },
	};
	char out[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = strlen(rows[i][0]);
		struct mime_tree *t = mime_parse(rows[i][0], len, NULL);

		assert_non_null(t);
		print_part(t, rows[i][0], 0, out, sizeof(out));
		if (strcmp(out, rows[i][1]) != 0)
			fail_msg("row %zu:\n%s\n-- is not --\n%s", i, out, rows[i][1]);
		check_tree(t, rows[i][0], len);
		mime_free(t);
	}
	mime_free(NULL);
}

static const char sections[] =
    H("o") "--o\r\nContent-Type: text/plain\r\n\r\n1\r\n"
	   "--o\r\nContent-Type: message/rfc822\r\n\r\n" H(
	       "i") "--i\r\n\r\n2.1\r\n--i\r\n\r\n2.2\r\n--i--\r\n"
		    "--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: s\r\n\r\n3.1\r\n"
		    "--o\r\n" H(
			"j") "--j\r\n\r\n4.1\r\n--j\r\nContent-Type: "
			     "message/rfc822\r\n\r\nContent-Type: "
			     "message/rfc822\r\n\r\nA: b\r\n\r\n4.2.1.1\r\n--j--\r\n"
			     "--o--\r\n";

static void
test_sections(void **state)
{
	static const struct {
		uint32_t path[5];
		size_t n;
		const char *body; /* NULL: none; "": not compared */
		bool self;
	} rows[] = {
		{ { 0 }, 0, "", false },
		{ { 1 }, 1, "1", false },
		{ { 2 }, 1, "", false },
		{ { 2, 1 }, 2, "2.1", false },
		{ { 2, 2 }, 2, "2.2", false },
		{ { 3, 1 }, 2, "3.1", true },
		{ { 4, 1 }, 2, "4.1", false },
		{ { 4, 2, 1 }, 3, "A: b\r\n\r\n4.2.1.1", true },
		{ { 4, 2, 1, 1 }, 4, "4.2.1.1", true },
		{ { 1, 1 }, 2, NULL, false },
		{ { 0, 1 }, 1, NULL, false },
		{ { 5 }, 1, NULL, false },
		{ { 2, 3 }, 2, NULL, false },
		{ { 3, 2 }, 2, NULL, false },
		{ { 3, 1, 1 }, 3, NULL, false },
		{ { 2, 1, 1 }, 3, NULL, false },
		{ { 4, 2, 1, 1, 1 }, 5, NULL, false },
	};
	struct mime_tree *t = mime_parse(sections, sizeof(sections) - 1, NULL);
	bool self;

	(void)state;
	check_tree(t, sections, sizeof(sections) - 1);
	assert_false(t->malformed);
	assert_false(t->truncated);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int part = mime_find(t, rows[i].path, rows[i].n, &self);

		if ((part == -1) != (rows[i].body == NULL))
			fail_msg("row %zu: %d", i, part);
		if (part == -1)
			continue;
		assert_int_equal(self, rows[i].self);
		if (rows[i].body[0] != '\0') {
			assert_int_equal(
			    mime_body_len(&t->parts[part]), strlen(rows[i].body));
			assert_memory_equal(sections + t->parts[part].body_off,
			    rows[i].body, strlen(rows[i].body));
		}
	}
	mime_free(t);
	t = mime_parse("\r\nx", 3, NULL);
	assert_int_equal(mime_find(t, (uint32_t[]){ 1 }, 1, &self), 0);
	assert_true(self);
	assert_int_equal(mime_find(t, (uint32_t[]){ 1, 1 }, 2, &self), -1);
	mime_free(t);
}

static void
test_fields(void **state)
{
	static const char msg[] =
	    "Content-Type: Text/Plain; Charset=\"US-ASCII\"; name=x.txt (c)\r\n"
	    "content-transfer-encoding: Base64 (really)\r\n"
	    "Content-ID: <a@b>\r\n"
	    "Content-Description: some\r\n text\r\n"
	    "Content-Disposition: ATTACHMENT;\r\n filename=\"a \\\"b\\\".txt\"; "
	    "size=3\r\n"
	    "Content-MD5: Q2hl Y2s=\r\n"
	    "Content-Language: en, de (german)\r\n"
	    "Content-Location: http://x/\r\n  y\r\n"
	    "Content-Type: text/html\r\n"
	    "\r\nYQ==\r\n";
	struct mime_tree *t = mime_parse(msg, sizeof(msg) - 1, NULL);
	const struct mime_part *p = &t->parts[0];
	char out[64];

	(void)state;
	assert_string_equal(p->type, "text");
	assert_string_equal(p->subtype, "plain");
	assert_true(p->has_type);
	assert_int_equal(p->nparams, 2);
	assert_string_equal(p->params[0].name, "charset");
	assert_string_equal(p->params[0].value, "US-ASCII");
	assert_string_equal(p->params[1].value, "x.txt");
	assert_string_equal(p->encoding, "base64");
	assert_int_equal(p->cte, CTE_BASE64);
	assert_string_equal(p->id, "<a@b>");
	assert_string_equal(p->description, "some text");
	assert_string_equal(p->disposition, "attachment");
	assert_int_equal(p->ndisposition_params, 2);
	assert_string_equal(p->disposition_params[0].value, "a \"b\".txt");
	assert_string_equal(p->md5, "Q2hlY2s=");
	assert_string_equal(p->language, "en,de");
	assert_string_equal(p->location, "http://x/y");
	assert_int_equal(p->header_lines, 13);
	assert_int_equal(p->body_lines, 1);
	assert_int_equal(mime_part_filename(p, out, sizeof(out)), 9);
	assert_string_equal(out, "a \"b\".txt");
	mime_free(t);
}

static void
test_params(void **state)
{
	static const struct {
		const char *value, *name, *want; /* want NULL: absent */
	} rows[] = {
		/* RFC 2231, 3 and 4. */
		{ "message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n "
		  "URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
		    "url", "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar" },
		{ "application/x-stuff; "
		  "title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
		    "title", "This is ***fun***" },
		{ "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; "
		  "title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
		    "title", "This is even more ***fun*** isn't it!" },
		{ "a/b; n*1=y; n*0=x; n*3=z", "n", "xy" },
		{ "a/b; n*=iso-8859-1''%E4%zz%", "n", "\xc3\xa4%zz%" },
		{ "a/b; n*=%C3%A4", "n", "\xc3\xa4" },
		{ "a/b; n=plain; n*=utf-8''ext", "n", "ext" },
		{ "a/b; n*=utf-8''a%0D%0Ab%00", "n", "ab" },
		{ "a/b; n*x=1; n*00000000000000000000=2; n*64=3", "n", "2" },
		{ "a/b; n=\"=?utf-8?Q?=C3=A4?=\"", "n", "\xc3\xa4" },
		{ "a/b; n==?utf-8?Q?=C3=A4?=", "n", "\xc3\xa4" },
		/* Malformed. */
		{ "a/b; n=my file.txt; m=x", "n", "my file.txt" },
		{ "a/b; n=my file.txt; m=x", "m", "x" },
		{ "a/b; n=a(1).txt (comment)", "n", "a(1).txt" },
		{ "a/b; n=\"unclosed; m=x", "n", "unclosed; m=x" },
		{ "a/b; n=\"a\" m=\"b\"", "m", "b" },
		{ "a/b;;; n = a ;", "n", "a" },
		{ "a/b; n=\"C:\\TEMP\\x.png\"", "n", "C:\\TEMP\\x.png" },
		{ "a/b; n", "n", NULL },
		{ "a/b; =x; n=1", "n", "1" },
		{ "a/b; n=", "n", "" },
		{ "a/b n=1", "n", NULL },
		{ "a/b; (c) n (d) = (e) 1", "n", "1" },
		{ "", "n", NULL },
		{ "(", "n", NULL },
		{ "a/b; n=\"\\", "n", "\\" },
	};
	struct mime_param params[8];
	char token[32], store[300], out[100];
	unsigned int n;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n = mime_split_params(rows[i].value, strlen(rows[i].value), token,
		    sizeof(token), params, 8, store, sizeof(store));
		int rc = mime_param_get(params, n, rows[i].name, out, sizeof(out));

		if ((rc == -1) != (rows[i].want == NULL) ||
		    (rc != -1 && strcmp(out, rows[i].want) != 0))
			fail_msg("[%s]: %d [%s]", rows[i].value, rc, rc == -1 ? "" : out);
	}
	/* No room: fewer, never more. */
	for (size_t cap = 0; cap < sizeof(store); cap++)
		mime_split_params(
		    "a/b; n=1; mm=22", 15, token, cap % 5, params, 8, store, cap);
}

static void
test_bounds(void **state)
{
	struct mime_limits limits = { .depth = 3, .parts = 5 };
	static char buf[4 * 1024 * 1024];
	struct timespec a, b;
	struct mime_tree *t;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		n += (size_t)sprintf(buf + n, "Content-Type: message/rfc822\r\n\r\n");
	t = mime_parse(buf, n, &limits);
	assert_int_equal(t->nparts, 4);
	assert_true(t->truncated);
	check_tree(t, buf, n);
	mime_free(t);
	t = mime_parse(buf, n, NULL);
	assert_int_equal(t->nparts, 11);
	assert_false(t->truncated);
	mime_free(t);

	n = (size_t)sprintf(buf, H("b"));
	for (int i = 0; i < 100; i++)
		n += (size_t)sprintf(buf + n, "--b\r\n\r\nx\r\n");
	n += (size_t)sprintf(buf + n, "--b--\r\nepilogue\r\n");
	t = mime_parse(buf, n, &limits);
	assert_int_equal(t->nparts, 5);
	assert_true(t->truncated);
	check_tree(t, buf, n);
	mime_free(t);

	/* The dearest: many long boundaries alike, and only lines that nearly match them
	 * all. */
	n = 0;
	for (int i = 0; i < 50; i++) {
		n += (size_t)sprintf(buf + n,
		    "Content-Type: multipart/mixed; "
		    "boundary=%0240d%c\r\n\r\n--%0240d%c\r\n",
		    0, 'a' + i % 20, 0, 'a' + i % 20);
	}
	n += (size_t)sprintf(buf + n, "\r\n");
	while (n < sizeof(buf) - 300)
		n += (size_t)sprintf(buf + n, "--%0240dz\n", 0);
	clock_gettime(CLOCK_MONOTONIC, &a);
	t = mime_parse(buf, n, NULL);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_int_equal(t->nparts, 51);
	assert_true(b.tv_sec - a.tv_sec < 5);
	mime_free(t);
	/* Strings beyond the bound are left out; the tree stays. */
	n = (size_t)sprintf(buf, H("b"));
	while (n < sizeof(buf) - 9000) {
		n += (size_t)sprintf(buf + n, "--b\r\nContent-Description: ");
		memset(buf + n, 'd', 8000);
		n += 8000;
		n += (size_t)sprintf(buf + n, "\r\n\r\nx\r\n");
	}
	t = mime_parse(buf, n, NULL);
	assert_true(t->nparts > 400);
	assert_non_null(t->parts[1].description);
	assert_null(t->parts[t->nparts - 1].description);
	check_tree(t, buf, n);
	mime_free(t);
}

static void
test_messages(void **state)
{
	glob_t g;
	char *buf;
	size_t parts = 0;

	(void)state;
	if (glob("../shared/data/mail/*/*.eml", 0, NULL, &g) != 0)
		skip();
	buf = malloc(8 * 1024 * 1024);
	assert_non_null(buf);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		int fd = open(g.gl_pathv[i], O_RDONLY);
		ssize_t len = read(fd, buf, 8 * 1024 * 1024);
		struct mime_tree *t;

		assert_true(len >= 0);
		close(fd);
		t = mime_parse(buf, (size_t)len, NULL);
		check_tree(t, buf, (size_t)len);
		assert_false(t->truncated);
		parts += t->nparts;
		mime_free(t);
	}
	assert_true(parts >= g.gl_pathc);
	free(buf);
	globfree(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trees),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
