/* SPDX-License-Identifier: ISC */
/* Tables of charsets, made by asking iconv; see charset_table.h. */
#include "common/proto/charset_table.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/proto/encoding.h"

#define REPLACEMENT 0xfffd
#define ROWS_MAX 64
#define NODES_MAX 1536
#define TWOS_MAX 64
#define PAIRS_MAX 2048

/* An entry of a node: 0, or one of these with what it is. */
#define CHAR 0x80000000u /* a code point */
#define NODE 0x40000000u /* goes on there */
#define TWO 0x20000000u  /* two code points, of twos[] */
#define VALUE 0x1fffffffu

/* Four octets of GB 18030, counted through: the first of them stand for what of the Basic
 * Multilingual Plane has no shorter form, and all other planes follow at FAR. */
#define GB_NEAR 39420
#define GB_FAR 189000u
#define GB_FAR_N 0x100000u

/* What has joined once joins again only where iconv does so too. */
#define JOINED 0x200000u

struct pair {
	uint32_t first, mark, both;
};

struct node {
	uint32_t at[256];
};

struct tables {
	bool ready[ROWS_MAX];
	uint16_t root[ROWS_MAX][SETS]; /* of charsets without sets the first */
	uint32_t n_nodes, n_twos, n_pairs;
	uint16_t pairs_at[ROWS_MAX], pairs_n[ROWS_MAX];
	uint32_t twos[TWOS_MAX][2];
	struct pair pairs[PAIRS_MAX];
	uint16_t gb[GB_NEAR];
	struct node nodes[NODES_MAX]; /* what is not used is never touched */
};

static struct tables *t;
static bool shared;

/* ---- asking iconv ---- */

/* How many code points in out, of at most max; -1 malformed, -2 incomplete. */
static int
ask(iconv_t cd, const void *in, size_t len, uint32_t *out, int max)
{
	char text[64], *ip = (char *)(uintptr_t)in, *op = text;
	size_t left = len, room = sizeof(text), took;
	int n = 0;

	iconv(cd, NULL, NULL, NULL, NULL);
	if (iconv(cd, &ip, &left, &op, &room) == (size_t)-1)
		return errno == EINVAL ? -2 : -1;
	iconv(cd, NULL, NULL, &op, &room);
	for (char *p = text; p < op; p += took, n++)
		if (n == max || (took = utf8_get(p, (size_t)(op - p), &out[n])) == 0)
			return -1;
	return n;
}

/* The number of a node like this one. */
static int
keep_node(const struct node *node)
{
	for (uint32_t i = 0; i < t->n_nodes; i++)
		if (memcmp(&t->nodes[i], node, sizeof(*node)) == 0)
			return (int)i;
	if (t->n_nodes == NODES_MAX)
		return -1;
	t->nodes[t->n_nodes] = *node;
	return (int)t->n_nodes++;
}

static int
keep_chars(const uint32_t *chars, int n, uint32_t *entry)
{
	if (n == 1) {
		*entry = CHAR | chars[0];
		return 0;
	}
	if (n != 2 || t->n_twos == TWOS_MAX)
		return -1;
	memcpy(t->twos[t->n_twos], chars, sizeof(t->twos[0]));
	*entry = TWO | t->n_twos++;
	return 0;
}

/* The node of what may follow so many octets. */
static int
make_node(iconv_t cd, uint8_t *octets, size_t len, size_t depth)
{
	struct node node = { 0 };
	uint32_t chars[2];
	int n, below;

	for (int b = 0; b < 256; b++) {
		octets[len] = (uint8_t)b;
		n = ask(cd, octets, len + 1, chars, 2);
		if (n > 0 && keep_chars(chars, n, &node.at[b]) == -1)
			return -1;
		if (n != -2 || depth == 1)
			continue;
		if ((below = make_node(cd, octets, len + 1, depth - 1)) == -1)
			return -1;
		node.at[b] = NODE | (uint32_t)below;
	}
	return keep_node(&node);
}

static int
make_octets(size_t row, iconv_t cd, size_t depth)
{
	uint8_t octets[CHARSET_OCTETS_MAX];
	int root = make_node(cd, octets, 0, depth);

	t->root[row][0] = (uint16_t)root;
	return root == -1 ? -1 : 0;
}

static int
keep_pair(size_t row, uint32_t first, uint32_t mark, uint32_t both)
{
	if (t->n_pairs == PAIRS_MAX)
		return -1;
	t->pairs[t->n_pairs++] = (struct pair){ first, mark, both };
	t->pairs_n[row]++;
	return 0;
}

static int
compare_pairs(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->mark < y->mark ? -1 : x->mark > y->mark;
}

/* Two that iconv makes one of, and three. */
static int
make_composed(size_t row, iconv_t cd)
{
	const struct node *root;
	uint8_t in[3];
	uint32_t two[2], one[2];

	if (make_octets(row, cd, 1) == -1)
		return -1;
	root = &t->nodes[t->root[row][0]];
	t->pairs_at[row] = (uint16_t)t->n_pairs;
	for (int a = 0; a < 256; a++)
		for (int b = 0x80; b < 256; b++) {
			in[0] = (uint8_t)a;
			in[1] = (uint8_t)b;
			if (root->at[a] == 0 || root->at[b] == 0 ||
			    ask(cd, in, 2, two, 2) != 1)
				continue;
			if (keep_pair(row, root->at[a] & VALUE, root->at[b] & VALUE,
				two[0]) == -1)
				return -1;
			for (int c = 0x80; c < 256; c++) {
				in[2] = (uint8_t)c;
				if (root->at[c] != 0 && ask(cd, in, 3, one, 2) == 1 &&
				    keep_pair(row, JOINED | two[0], root->at[c] & VALUE,
					one[0]) == -1)
					return -1;
			}
		}
	qsort(t->pairs + t->pairs_at[row], t->pairs_n[row], sizeof(t->pairs[0]),
	    compare_pairs);
	return 0;
}

static int
make_gb18030(size_t row, iconv_t cd)
{
	uint8_t in[4];
	uint32_t c;

	for (uint32_t i = 0; i < GB_NEAR; i++) {
		in[0] = (uint8_t)(0x81 + i / 12600);
		in[1] = (uint8_t)(0x30 + i / 1260 % 10);
		in[2] = (uint8_t)(0x81 + i / 10 % 126);
		in[3] = (uint8_t)(0x30 + i % 10);
		if (ask(cd, in, 4, &c, 1) == 1 && c <= 0xffff)
			t->gb[i] = (uint16_t)c;
	}
	return make_octets(row, cd, 2);
}

static int
make_set(size_t row, iconv_t cd, enum charset_set set, const char *begin, size_t octets)
{
	struct node root = { 0 }, node;
	uint8_t in[12];
	uint32_t chars[2];
	size_t n = strlen(begin);
	int kept;

	memcpy(in, begin, n);
	for (int a = 0x20; a < 0x80; a++) {
		in[n] = (uint8_t)a;
		if (octets == 1) {
			if (ask(cd, in, n + 1, chars, 2) == 1)
				root.at[a | 0x80] = CHAR | chars[0];
			continue;
		}
		memset(&node, 0, sizeof(node));
		for (int b = 0x20; b < 0x80; b++) {
			in[n + 1] = (uint8_t)b;
			/* Of a control character two come. */
			if (ask(cd, in, n + 2, chars, 2) == 1)
				node.at[b | 0x80] = CHAR | chars[0];
		}
		if ((kept = keep_node(&node)) == -1)
			return -1;
		root.at[a | 0x80] = NODE | (uint32_t)kept;
	}
	kept = keep_node(&root);
	t->root[row][set] = (uint16_t)kept;
	return kept == -1 ? -1 : 0;
}

static int
make_2022(size_t row, enum charset_kind kind, iconv_t cd)
{
	if (kind == CHARSET_2022_KR)
		return make_set(row, cd, SET_KS, "\x1b$)C\x0e", 2);
	return make_set(row, cd, SET_ROMAN, "\x1b(J", 1) == -1 ||
		       make_set(row, cd, SET_JIS, "\x1b$B", 2) == -1 ||
		       make_set(row, cd, SET_JIS_MORE, "\x1b$(D", 2) == -1 ||
		       make_set(row, cd, SET_GB, "\x1b$A", 2) == -1 ||
		       make_set(row, cd, SET_KS, "\x1b$(C", 2) == -1 ||
		       make_set(row, cd, SET_LATIN, "\x1b.A\x1bN", 1) == -1 ||
		       make_set(row, cd, SET_GREEK, "\x1b.F\x1bN", 1) == -1
		   ? -1
		   : 0;
}

static int
make_table(size_t row, enum charset_kind kind, const char *name)
{
	iconv_t cd = iconv_open("UTF-8", name);
	int rc = -1;

	if (cd == (iconv_t)-1)
		return -1;
	switch (kind) {
	case CHARSET_OCTETS:
		rc = make_octets(row, cd, 3);
		break;
	case CHARSET_COMPOSED:
		rc = make_composed(row, cd);
		break;
	case CHARSET_GB18030:
		rc = make_gb18030(row, cd);
		break;
	case CHARSET_2022_JP:
	case CHARSET_2022_KR:
		rc = make_2022(row, kind, cd);
		break;
	default:
		break;
	}
	iconv_close(cd);
	return rc;
}

/* ---- the mapping ---- */

static int
map_tables(void)
{
	void *p;

	if (t != NULL)
		return 0;
	p = mmap(
	    NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -1;
	t = p;
	return 0;
}

int
charset_table_make(size_t row, enum charset_kind kind, const char *iconv_name)
{
	if (kind < CHARSET_OCTETS || charset_table_ready(row))
		return 0;
	if (shared || row >= ROWS_MAX || map_tables() == -1 ||
	    make_table(row, kind, iconv_name) == -1)
		return -1;
	t->ready[row] = true;
	return 0;
}

int
charset_table_share(int (*make)(void))
{
	int status;
	pid_t pid, ended;

	if (shared || map_tables() == -1 || (pid = fork()) == -1)
		return -1;
	if (pid == 0)
		_exit(make());
	while ((ended = waitpid(pid, &status, 0)) == -1 && errno == EINTR)
		;
	shared = true;
	(void)mprotect(t, sizeof(*t), PROT_READ);
	return ended != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void
charset_table_free(void)
{
	if (t != NULL)
		munmap(t, sizeof(*t));
	t = NULL;
	shared = false;
}

bool
charset_table_ready(size_t row)
{
	return t != NULL && row < ROWS_MAX && t->ready[row];
}

/* ---- reading ---- */

/* mark 0: any. */
static const struct pair *
find_pair(size_t row, uint32_t first, uint32_t mark)
{
	const struct pair want = { first, mark, 0 }, *v = t->pairs + t->pairs_at[row];
	size_t lo = 0, hi = t->pairs_n[row];

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare_pairs(&v[mid], &want) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < t->pairs_n[row] && v[lo].first == first &&
		       (mark == 0 || v[lo].mark == mark)
		   ? &v[lo]
		   : NULL;
}

/* As many marks as join. */
static int
composed_get(size_t row, const uint8_t *p, size_t len, bool last, uint32_t *out)
{
	const struct node *root = &t->nodes[t->root[row][0]];
	const struct pair *pair;
	uint32_t key;
	size_t n = 1;

	if (root->at[p[0]] == 0)
		return 0;
	*out = key = root->at[p[0]] & VALUE;
	for (; n < len && p[n] >= 0x80 && root->at[p[n]] != 0; n++) {
		if ((pair = find_pair(row, key, root->at[p[n]] & VALUE)) == NULL)
			return (int)n;
		*out = pair->both;
		key = JOINED | *out;
	}
	return n == len && !last && find_pair(row, key, 0) != NULL ? CHARSET_MORE
								   : (int)n;
}

static int
octets_get(
    size_t row, const uint8_t *p, size_t len, bool last, uint32_t out[2], size_t *n_out)
{
	const struct node *node = &t->nodes[t->root[row][0]];
	uint32_t entry;

	for (size_t i = 0; i < len; i++) {
		entry = node->at[p[i]];
		if (entry == 0)
			return 0;
		if (entry & NODE) {
			node = &t->nodes[entry & VALUE];
			continue;
		}
		if (entry & TWO)
			memcpy(out, t->twos[entry & VALUE], 2 * sizeof(*out));
		else
			out[0] = entry & VALUE;
		*n_out = entry & TWO ? 2 : 1;
		return (int)i + 1;
	}
	return last ? 0 : CHARSET_MORE;
}

static bool
between(uint8_t c, uint8_t first, uint8_t end)
{
	return c >= first && c <= end;
}

/* Four octets. */
static int
gb_get(const uint8_t *p, size_t len, bool last, uint32_t *out)
{
	uint32_t i;

	if ((len > 2 && !between(p[2], 0x81, 0xfe)) ||
	    (len > 3 && !between(p[3], '0', '9')))
		return 0;
	if (len < 4)
		return last ? 0 : CHARSET_MORE;
	i = (((p[0] - 0x81u) * 10 + (p[1] - 0x30u)) * 126 + (p[2] - 0x81u)) * 10 +
	    (p[3] - 0x30u);
	if (i < GB_NEAR && t->gb[i] != 0)
		*out = t->gb[i];
	else if (i >= GB_FAR && i - GB_FAR < GB_FAR_N)
		*out = 0x10000 + i - GB_FAR;
	else
		return 0;
	return 4;
}

static uint32_t
unit16(const uint8_t *p, bool big)
{
	return big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static int
utf16_get(bool big, const uint8_t *p, size_t len, bool last, uint32_t *out)
{
	uint32_t low;

	if (len < 2)
		return last ? 0 : CHARSET_MORE;
	*out = unit16(p, big);
	if (*out < 0xd800 || *out > 0xdfff)
		return 2;
	if (*out < 0xdc00 && len < 4 && !last)
		return CHARSET_MORE;
	low = len < 4 ? 0 : unit16(p + 2, big);
	if (*out < 0xdc00 && low >= 0xdc00 && low <= 0xdfff) {
		*out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
		return 4;
	}
	*out = REPLACEMENT; /* half of a pair: what follows keeps its place */
	return 2;
}

uint32_t
charset_set_get(size_t row, enum charset_set set, const uint8_t *p, size_t len)
{
	uint32_t entry = t->nodes[t->root[row][set]].at[p[0] | 0x80];

	if (len == 2)
		entry = entry & NODE ? t->nodes[entry & VALUE].at[p[1] | 0x80] : 0;
	return entry & CHAR ? entry & VALUE : 0;
}

int
charset_table_get(size_t row, enum charset_kind kind, struct charset_state *s,
    const uint8_t *p, size_t len, bool last, uint32_t out[2], size_t *n_out)
{
	*n_out = 1;
	switch (kind) {
	case CHARSET_UTF16BE:
	case CHARSET_UTF16LE:
		return utf16_get(kind == CHARSET_UTF16BE, p, len, last, out);
	case CHARSET_UTF7:
		return charset_utf7_get(s, p, len, last, out, n_out);
	case CHARSET_COMPOSED:
		return composed_get(row, p, len, last, out);
	case CHARSET_GB18030:
		if (len > 1 && between(p[0], 0x81, 0xfe) && between(p[1], '0', '9'))
			return gb_get(p, len, last, out);
		/* FALLTHROUGH */
	case CHARSET_OCTETS:
		return octets_get(row, p, len, last, out, n_out);
	case CHARSET_2022_JP:
	case CHARSET_2022_KR:
		return charset_2022_get(
		    row, kind == CHARSET_2022_KR, s, p, len, last, out, n_out);
	default:
		return 0;
	}
}
