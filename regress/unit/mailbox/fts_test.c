/* SPDX-License-Identifier: ISC */
/* Full text search: HTML as text, signatures, their file and its damage, and that a
 * search with the index finds what reading all messages finds. */
#include <stdbool.h>
#include <time.h>

#include "mailbox/fts.h"
#include "mailbox/fts_grams.h"
#include "mailbox/fts_html.h"
#include "mailbox/fts_index.h"
#include "mailbox/fts_text.h"
#include "mailbox/imap_search.h"
#include "fixture.h"

static uint32_t seed = 1;

static uint32_t
below(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* ---- HTML ---- */

static const struct {
	const char *in, *out;
} html[] = {
	{ "plain", "plain" },
	{ "hel<b>lo</b> <i class='x>y'>w</i>orld", "hello world" },
	{ "one<br>two<p>three</p>four", "one two three four" },
	{ "a<style type=\"text/css\">p { x: y }</style>b", "a  b" },
	{ "a<SCRIPT>if (a<b) '</p>'</script >b", "a  b" },
	{ "a<!-- c -- > d <p> -->b<!-->c", "abc" },
	{ "&lt;x&gt; &amp;amp; &eacute;&#233;&#xE9; &nbsp;.", "<x> &amp; ééé \u00a0." },
	{ "fish & chips &unknown; &#0; &#x110000; &#55296;",
	    "fish & chips &unknown; &#0; &#x110000; &#55296;" },
	{ "a &amp", "a &amp" },
	{ "1 < 2 <3 a<", "1 < 2 <3 a<" },
	{ "<a href=\"http://x/?a>b\">link</a>", "link" },
	{ "it's <b title=it's>a tag</b>", "it's a tag" },
	{ "soft&shy;hyphen", "softhyphen" },
	{ "<?xml version='1'?><!DOCTYPE html>x", "  x" },
	{ "&verylongreference;", "&verylongreference;" },
};

static void
test_html(void **state)
{
	for (size_t i = 0; i < sizeof(html) / sizeof(html[0]); i++)
		for (size_t step = 1; step < 50; step += 7) {
			size_t len = strlen(html[i].in), n = 0;
			struct fts_html h;
			char out[500];

			fts_html_init(&h);
			for (size_t at = 0; at < len; at += step) {
				size_t k = len - at < step ? len - at : step;
				size_t made =
				    fts_html_feed(&h, html[i].in + at, k, out + n);

				assert_true(made <= k + FTS_HTML_MORE);
				n += made;
			}
			n += fts_html_finish(&h, out + n);
			out[n] = '\0';
			assert_string_equal(out, html[i].out);
		}
}

/* ---- random text ---- */

/* Words of several scripts, with octets that are no UTF-8 among them. */
static size_t
random_text(char *out, size_t cap)
{
	static const char *const syllables[] = { "ba", "ko", "Tri", "STE", "n", "ing",
		"x1", "-", "@", ".", "ß", "É", "ло", "ЖУ", "ки", "ά", "Ω", "漢", "字",
		"中", "文", "かな", "カ", "한", "국", "어", "العر", "ไทย", "\xff", "\xc3",
		"\xe4\xb8", "😀", "İ", "\xef\xac\x81" };
	size_t n = 0, words = 1 + below(200);

	while (words-- > 0 && n + 100 < cap) {
		for (uint32_t k = 1 + below(6); k > 0; k--) {
			const char *s =
			    syllables[below(sizeof(syllables) / sizeof(syllables[0]))];

			memcpy(out + n, s, strlen(s));
			n += strlen(s);
		}
		if (below(8) == 0)
			out[n++] = ' ';
		out[n++] = below(10) == 0 ? '\n' : ' ';
	}
	return n;
}

static size_t
fold(const char *s, size_t len, char *out)
{
	bool space = false;

	return imap_fold(s, len, out, &space);
}

/* A piece of a text, or of something else; folded. */
static size_t
random_query(const char *text, size_t len, char *out)
{
	char piece[64];
	size_t n = 1 + below(24), at = below((uint32_t)len);

	if (n > len - at)
		n = len - at;
	memcpy(piece, text + at, n);
	if (below(3) == 0)
		piece[below((uint32_t)n)] ^= (char)(1u << below(5));
	return fold(piece, n, out);
}

static void
test_signatures_never_miss(void **state)
{
	static char text[8192], folded[IMAP_FOLD_SIZE(8192)];
	unsigned int held = 0, excluded = 0, tests = 0;
	struct fts_grams g;

	fts_grams_init(&g);
	for (int round = 0; round < 300; round++) {
		size_t len = random_text(text, sizeof(text)), n = fold(text, len, folded),
		       words;
		uint64_t sign[2000];

		fts_grams_reset(&g);
		for (size_t at = 0; at < n;) {
			size_t k = 1 + below(100);

			k = k > n - at ? n - at : k;
			fts_grams_add(&g, folded + at, k);
			at += k;
		}
		words = fts_grams_words(&g);
		assert_in_range(words, 1, 2000);
		assert_true(words * 8 <= n * 2 / 8 + 8);
		fts_grams_sign(&g, sign, words);
		for (int i = 0; i < 200; i++) {
			char want[IMAP_FOLD_SIZE(64)];
			size_t k = random_query(text, len, want);
			bool there = memmem(folded, n, want, k) != NULL;
			struct fts_query q;

			fts_query_init(&q, want, k);
			tests += q.n > 0;
			held += there;
			if (!fts_query_match(&q, sign, words)) {
				excluded++;
				if (there)
					fail_msg("missed %.*s", (int)k, want);
			}
		}
	}
	fts_grams_clear(&g);
	/* It is worth something too. */
	assert_true(held > 1000 && tests > 10000 && excluded > 1000);
}

static void
test_query_forms(void **state)
{
	struct fts_query q;
	char many[1000];

	fts_query_init(&q, "", 0);
	assert_int_equal(q.n, 0);
	fts_query_init(&q, "ab", 2);
	assert_int_equal(q.n, 0);
	fts_query_init(&q, "a b c", 5);
	assert_int_equal(q.n, 0);
	fts_query_init(&q, "abc", 3);
	assert_int_equal(q.n, 1);
	fts_query_init(&q, "漢", 3);
	assert_int_equal(q.n, 1);
	fts_query_init(&q, "漢字", 6);
	assert_int_equal(q.n, 3);
	fts_query_init(&q, "abc\xe6\xbc", 5);
	assert_int_equal(q.n, 0);
	memset(many, 'x', sizeof(many));
	fts_query_init(&q, many, sizeof(many));
	assert_int_equal(q.n, FTS_TESTS_MAX);
}

/* Too many different grams: no signature, and nothing is ruled out. */
static void
test_rich_text(void **state)
{
	struct fts_grams g;
	struct fts_query q;
	char piece[4];

	fts_grams_init(&g);
	for (uint32_t i = 0; i < FTS_SET_MAX; i++) {
		for (int k = 0; k < 4; k++)
			piece[k] = (char)(33 + below(90));
		fts_grams_add(&g, piece, 4);
	}
	assert_true(g.full);
	assert_int_equal(fts_grams_words(&g), 0);
	fts_query_init(&q, "hello", 5);
	assert_true(fts_query_match(&q, NULL, 0));
	fts_grams_reset(&g);
	assert_false(g.full);
	fts_grams_add(&g, "hello", 5);
	assert_int_equal(fts_grams_words(&g), 1);
	fts_grams_clear(&g);
}

/* ---- the file ---- */

#define ID "0123456789abcdef0123456789abcdef"
#define N 60

static bool
is_odd(uint32_t uid, void *arg)
{
	return uid % 2 == 1;
}

static struct fts_index *
index_open(struct box *b, bool create)
{
	struct fts_index *x;

	assert_int_equal(fts_index_open(b->fd, "x", ID, 7, create, &x), 0);
	return x;
}

static size_t
put_word(struct fts_index *x, uint32_t uid, const char *word)
{
	struct fts_grams g;
	uint64_t sign[4096 / 8];
	size_t n;

	fts_grams_init(&g);
	fts_grams_add(&g, word, strlen(word));
	n = fts_grams_words(&g);
	fts_grams_sign(&g, sign, n);
	assert_int_equal(fts_index_add(x, uid, uid + 100, sign, n), 0);
	fts_grams_clear(&g);
	return n;
}

static bool
rules_out(struct fts_index *x, uint32_t uid, const char *word)
{
	struct fts_query q;

	fts_query_init(&q, word, strlen(word));
	return fts_index_rules_out(x, uid, uid + 100, &q);
}

static void
word_of(uint32_t uid, char out[32])
{
	snprintf(out, 32, "word%uends", uid * 7919);
}

/* In several records. */
static void
fill(struct fts_index *x)
{
	char word[32];

	for (uint32_t uid = 1; uid <= N; uid++) {
		word_of(uid, word);
		(void)put_word(x, uid, word);
		if (uid % 13 == 0)
			assert_int_equal(fts_index_write(x), 0);
	}
}

/* Whatever is known is right. Returns how many are. */
static size_t
check(struct fts_index *x)
{
	size_t known = 0, excluded = 0;
	char word[32];

	for (uint32_t uid = 1; uid <= N; uid++) {
		word_of(uid, word);
		assert_false(rules_out(x, uid, word));
		if (!fts_index_has(x, uid, uid + 100))
			continue;
		known++;
		excluded += rules_out(x, uid, "other");
		assert_false(fts_index_has(x, uid, uid + 101));
	}
	assert_true(excluded * 2 >= known);
	return known;
}

static void
test_file(void **state)
{
	struct fts_index *x;
	struct stat st, st2;
	struct box b;
	char word[32];

	box_make(&b);
	assert_int_equal(fts_index_open(b.fd, "x", ID, 7, false, &x), -1);
	x = index_open(&b, true);
	fill(x);
	assert_int_equal(check(x), N);
	fts_index_close(x);
	x = index_open(&b, false);
	assert_int_equal(check(x), N);
	/* Out of order, and again. */
	(void)put_word(x, 5, "replaced");
	(void)put_word(x, 1000, "later");
	(void)put_word(x, 900, "between");
	assert_false(rules_out(x, 5, "replaced"));
	fts_index_close(x);
	x = index_open(&b, false);
	assert_int_equal(fts_index_count(x), N + 2);
	assert_int_equal(fts_index_uid(x, N), 900);
	assert_false(rules_out(x, 5, "replaced"));
	assert_true(rules_out(x, 5, "word39595ends"));
	assert_true(rules_out(x, 1000, "between"));
	/* Expunged ones go. */
	assert_int_equal(fstatat(b.fd, "x", &st, 0), 0);
	assert_int_equal(fts_index_compact(x, is_odd, NULL), 0);
	assert_int_equal(fts_index_count(x), N / 2);
	word_of(7, word);
	assert_false(rules_out(x, 7, word));
	assert_true(rules_out(x, 7, "something"));
	(void)put_word(x, 2000, "after");
	fts_index_close(x);
	assert_int_equal(fstatat(b.fd, "x", &st2, 0), 0);
	assert_true(st2.st_size < st.st_size);
	x = index_open(&b, false);
	assert_int_equal(fts_index_count(x), N / 2 + 1);
	fts_index_close(x);
	/* Another folder's: begun anew. */
	assert_int_equal(fts_index_open(b.fd, "x", ID, 8, false, &x), 0);
	assert_int_equal(fts_index_count(x), 0);
	fts_index_close(x);
	box_remove(&b);
}

static void
test_file_damage(void **state)
{
	static uint8_t whole[65536], copy[65536];
	struct fts_index *x;
	struct box b;
	ssize_t len;
	int fd;

	box_make(&b);
	x = index_open(&b, true);
	fill(x);
	fts_index_close(x);
	fd = openat(b.fd, "x", O_RDWR);
	len = read(fd, whole, sizeof(whole));
	assert_in_range(len, 1000, sizeof(whole) - 1);
	for (ssize_t i = 0; i < len * 2; i++) {
		ssize_t at = i / 2;

		memcpy(copy, whole, (size_t)len);
		copy[at] ^= (uint8_t)(1u << below(8));
		assert_int_equal(ftruncate(fd, i % 2 == 0 ? len : at), 0);
		assert_int_equal(pwrite(fd, copy, (size_t)(i % 2 == 0 ? len : at), 0),
		    i % 2 == 0 ? len : at);
		x = index_open(&b, false);
		assert_true(check(x) < N);
		if (i % 97 == 0) {
			/* It is used on. */
			fill(x);
			fts_index_close(x);
			x = index_open(&b, false);
			assert_int_equal(check(x), N);
		}
		fts_index_close(x);
	}
	close(fd);
	box_remove(&b);
}

/* ---- in the store ---- */

static void
test_store(void **state)
{
	static char text[16384], want[IMAP_FOLD_SIZE(64)];
	struct store *s;
	struct folder *f;
	struct box b;
	char path[200], cmd[400];
	unsigned int excluded = 0, found = 0;

	box_make(&b);
	s = box_open(&b);
	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	for (int i = 0; i < 40; i++) {
		size_t n = (size_t)snprintf(text, 300,
		    "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe_%d?=\r\n"
		    "From: \"Joe\" (c) <joe.%d@example.test>\r\n"
		    "Content-Type: text/%s; charset=utf-8\r\n\r\n",
		    i, i, i % 3 == 0 ? "html" : "plain");

		n += random_text(text + n, 8000);
		for (size_t k = 0; k < n; k++)
			if (text[k] == '\0')
				text[k] = ' ';
		text[n] = '\0';
		(void)put(f, text, 0);
	}
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 300; i++) {
			const struct message *m =
			    folder_message(f, below((uint32_t)folder_count(f)));
			struct mime_tree *tree;
			struct fts_query *q;
			struct content c;
			size_t k, header;
			bool out, there;

			assert_int_equal(folder_content(f, m->uid, &c), STORE_OK);
			tree = mime_parse((const char *)c.data, c.len, NULL);
			assert_non_null(tree);
			k = i % 10 == 0 ? fold("<joe.3@example.test>", 20, want)
					: random_query((const char *)c.data, c.len, want);
			q = fts_query_new(want, k);
			out = fts_rules_out(f, m, q);
			header = tree->parts[0].body_off;
			there = imap_text_find(
				    (const char *)c.data, c.len, tree, true, want, k) ||
				imap_header_find(
				    (const char *)c.data, header, "From", want, k) ||
				imap_header_find(
				    (const char *)c.data, header, "Subject", want, k);
			found += there;
			excluded += out;
			if (out && there)
				fail_msg("missed %.*s", (int)k, want);
			(void)fts_learn(f, m, (const char *)c.data, c.len, tree);
			free(q);
			mime_free(tree);
			content_release(&c);
		}
		if (round == 1) {
			/* The process ends and another begins. */
			folder_close(f);
			store_close(s);
			s = box_open(&b);
			assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
		}
		while (fts_work(s))
			;
	}
	assert_true(found > 100 && excluded > 100);
	snprintf(path, sizeof(path), "%s/index/search-%s", b.dir, folder_id(f));
	assert_int_equal(access(path, F_OK), 0);
	folder_close(f);
	/* What belongs to no folder goes; so does a deleted folder's. */
	snprintf(cmd, sizeof(cmd), "cp %s %s/index/search-nobody", path, b.dir);
	assert_int_equal(system(cmd), 0);
	store_close(s);
	s = box_open(&b);
	(void)fts_work(s);
	snprintf(path, sizeof(path), "%s/index/search-nobody", b.dir);
	assert_int_equal(access(path, F_OK), -1);
	store_close(s);
	box_remove(&b);
}

static void
test_new_messages_and_deleted_folder(void **state)
{
	struct fts_query *q = fts_query_new("nowhere", 7);
	struct mime_tree *tree;
	struct folder *f;
	struct content c;
	struct store *s;
	struct box b;
	char path[200];
	uint32_t uid;

	box_make(&b);
	s = box_open(&b);
	assert_int_equal(store_create(s, "old", 0), STORE_OK);
	assert_int_equal(folder_open(s, "old", &f), STORE_OK);
	uid = put(f, "Subject: one\r\n\r\ntext\r\n", 0);
	/* Nobody searched: nothing is made. */
	for (int i = 0; i < 5; i++)
		(void)fts_work(s);
	snprintf(path, sizeof(path), "%s/index/search-%s", b.dir, folder_id(f));
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(folder_content(f, uid, &c), STORE_OK);
	tree = mime_parse((const char *)c.data, c.len, NULL);
	(void)fts_learn(f, folder_message(f, 0), (const char *)c.data, c.len, tree);
	mime_free(tree);
	content_release(&c);
	assert_int_equal(access(path, F_OK), 0);
	assert_true(fts_rules_out(f, folder_message(f, 0), q));
	/* Later ones come by the timer, when it is quiet. */
	(void)put(f, "Subject: two\r\n\r\nmore text\r\n", 0);
	assert_false(fts_rules_out(f, folder_message(f, 1), q));
	for (int i = 0; i < 5; i++)
		(void)fts_work(s);
	assert_true(fts_rules_out(f, folder_message(f, 1), q));
	assert_int_equal(store_delete(s, "old"), STORE_OK);
	assert_int_equal(access(path, F_OK), -1);
	folder_close(f);
	store_close(s);
	free(q);
	box_remove(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_html),
		cmocka_unit_test(test_signatures_never_miss),
		cmocka_unit_test(test_query_forms),
		cmocka_unit_test(test_rich_text),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_damage),
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_new_messages_and_deleted_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
