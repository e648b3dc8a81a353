/* SPDX-License-Identifier: ISC */
/*
 * Charsets to UTF-8.  Only names of the table below reach iconv, so that a message
 * cannot choose a converter nobody thought of (ISO-2022-CN-EXT: CVE-2024-2961), and it
 * is asked for tables alone (charset_table.h): no octet of a message reaches it.
 */
#include <stdint.h>
#include <string.h>

#include "common/proto/charset.h"
#include "common/proto/encoding.h"

#define REPLACEMENT 0xfffd
#define ROOM_MIN 8 /* for two characters */

/* Rows of own code, before those of tables. */
enum {
	ROW_GUESS,
	ROW_UTF8,
	ROW_1252,
	ROW_UTF16,
	ROW_UTF16BE,
	ROW_UTF16LE
};

static const struct {
	const char *name;  /* as people know it */
	const char *iconv; /* NULL: it is not asked */
	enum charset_kind kind;
} rows[] = {
	[ROW_GUESS] = { .name = "us-ascii" },
	[ROW_UTF8] = { .name = "utf-8" },
	[ROW_1252] = { .name = "windows-1252" },
	[ROW_UTF16] = { .name = "utf-16" }, /* becomes one of the next two */
	[ROW_UTF16BE] = { .name = "utf-16be", .kind = CHARSET_UTF16BE },
	[ROW_UTF16LE] = { .name = "utf-16le", .kind = CHARSET_UTF16LE },
	{ "iso-8859-2", "ISO-8859-2", CHARSET_OCTETS },
	{ "iso-8859-3", "ISO-8859-3", CHARSET_OCTETS },
	{ "iso-8859-4", "ISO-8859-4", CHARSET_OCTETS },
	{ "iso-8859-5", "ISO-8859-5", CHARSET_OCTETS },
	{ "iso-8859-6", "ISO-8859-6", CHARSET_OCTETS },
	{ "iso-8859-7", "ISO-8859-7", CHARSET_OCTETS },
	{ "iso-8859-8", "ISO-8859-8", CHARSET_OCTETS },
	{ "iso-8859-9", "ISO-8859-9", CHARSET_OCTETS },
	{ "iso-8859-10", "ISO-8859-10", CHARSET_OCTETS },
	{ "iso-8859-11", "CP874", CHARSET_OCTETS },
	{ "iso-8859-13", "ISO-8859-13", CHARSET_OCTETS },
	{ "iso-8859-14", "ISO-8859-14", CHARSET_OCTETS },
	{ "iso-8859-15", "ISO-8859-15", CHARSET_OCTETS },
	{ "iso-8859-16", "ISO-8859-16", CHARSET_OCTETS },
	{ "windows-1250", "CP1250", CHARSET_OCTETS },
	{ "windows-1251", "CP1251", CHARSET_OCTETS },
	{ "windows-1253", "CP1253", CHARSET_OCTETS },
	{ "windows-1254", "CP1254", CHARSET_OCTETS },
	{ "windows-1255", "CP1255", CHARSET_COMPOSED },
	{ "windows-1256", "CP1256", CHARSET_OCTETS },
	{ "windows-1257", "CP1257", CHARSET_OCTETS },
	{ "windows-1258", "CP1258", CHARSET_COMPOSED },
	{ "koi8-r", "KOI8-R", CHARSET_OCTETS },
	{ "koi8-u", "KOI8-U", CHARSET_OCTETS },
	{ "macintosh", "MACINTOSH", CHARSET_OCTETS },
	{ "ibm437", "CP437", CHARSET_OCTETS },
	{ "ibm850", "CP850", CHARSET_OCTETS },
	{ "ibm866", "CP866", CHARSET_OCTETS },
	{ "gb18030", "GB18030", CHARSET_GB18030 },
	{ "big5", "BIG5-HKSCS", CHARSET_OCTETS },
	{ "shift_jis", "CP932", CHARSET_OCTETS },
	{ "euc-jp", "EUC-JP", CHARSET_OCTETS },
	{ "iso-2022-jp", "ISO-2022-JP-2", CHARSET_2022_JP },
	{ "euc-kr", "UHC", CHARSET_OCTETS },
	{ "iso-2022-kr", "ISO-2022-KR", CHARSET_2022_KR },
	{ .name = "utf-7", .kind = CHARSET_UTF7 },
};
#define NROWS (sizeof(rows) / sizeof(rows[0]))

/* In the normal form of normalise(): lower case letters and digits only. */
static const struct {
	const char *alias, *name;
} aliases[] = {
	{ "ascii", "us-ascii" },
	{ "ansix341968", "us-ascii" },
	{ "646", "us-ascii" },
	{ "iso88591", "windows-1252" },
	{ "latin1", "windows-1252" },
	{ "l1", "windows-1252" },
	{ "cp1252", "windows-1252" },
	{ "cp819", "windows-1252" },
	{ "ibm819", "windows-1252" },
	{ "iso885911987", "windows-1252" },
	{ "latin2", "iso-8859-2" },
	{ "latin5", "iso-8859-9" },
	{ "latin9", "iso-8859-15" },
	{ "iso88598i", "iso-8859-8" },
	{ "tis620", "iso-8859-11" },
	{ "windows874", "iso-8859-11" },
	{ "cp874", "iso-8859-11" },
	{ "cp1250", "windows-1250" },
	{ "cp1251", "windows-1251" },
	{ "cp1253", "windows-1253" },
	{ "cp1254", "windows-1254" },
	{ "cp1255", "windows-1255" },
	{ "cp1256", "windows-1256" },
	{ "cp1257", "windows-1257" },
	{ "cp1258", "windows-1258" },
	{ "koi8", "koi8-r" },
	{ "cskoi8r", "koi8-r" },
	{ "xmacroman", "macintosh" },
	{ "macroman", "macintosh" },
	{ "cp437", "ibm437" },
	{ "cp850", "ibm850" },
	{ "cp866", "ibm866" },
	{ "gb2312", "gb18030" },
	{ "gb231280", "gb18030" },
	{ "csgb2312", "gb18030" },
	{ "euccn", "gb18030" },
	{ "gbk", "gb18030" },
	{ "xgbk", "gb18030" },
	{ "cp936", "gb18030" },
	{ "windows936", "gb18030" },
	{ "csbig5", "big5" },
	{ "big5hkscs", "big5" },
	{ "cp950", "big5" },
	{ "xxbig5", "big5" },
	{ "sjis", "shift_jis" },
	{ "xsjis", "shift_jis" },
	{ "csshiftjis", "shift_jis" },
	{ "mskanji", "shift_jis" },
	{ "windows31j", "shift_jis" },
	{ "cp932", "shift_jis" },
	{ "xeucjp", "euc-jp" },
	{ "ujis", "euc-jp" },
	{ "iso2022jp1", "iso-2022-jp" },
	{ "iso2022jp2", "iso-2022-jp" },
	{ "csiso2022jp", "iso-2022-jp" },
	{ "ksc56011987", "euc-kr" },
	{ "ksc5601", "euc-kr" },
	{ "cp949", "euc-kr" },
	{ "uhc", "euc-kr" },
	{ "windows949", "euc-kr" },
	{ "cseuckr", "euc-kr" },
	{ "unicode11utf7", "utf-7" },
	{ "unicode11utf8", "utf-8" },
	{ "xunicode20utf8", "utf-8" },
	{ "utf8mb4", "utf-8" },
};

static size_t
normalise(const char *s, size_t len, char out[CHARSET_NAME_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < CHARSET_NAME_MAX; i++) {
		int c = ascii_lower((unsigned char)s[i]);

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			out[n++] = (char)c;
	}
	out[n] = '\0';
	return n;
}

static int
find_row(const char *name, size_t len)
{
	char key[CHARSET_NAME_MAX + 1], row[CHARSET_NAME_MAX + 1];
	const char *target = NULL;

	if (len > CHARSET_NAME_MAX || normalise(name, len, key) == 0)
		return -1;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
		if (strcmp(aliases[i].alias, key) == 0)
			target = aliases[i].name;
	}
	if (target != NULL)
		normalise(target, strlen(target), key);
	for (size_t i = 0; i < NROWS; i++) {
		normalise(rows[i].name, strlen(rows[i].name), row);
		if (strcmp(row, key) == 0)
			return (int)i;
	}
	return -1;
}

static bool
row_open(int row)
{
	return charset_table_make((size_t)row, rows[row].kind, rows[row].iconv) == 0;
}

static int
open_all(void)
{
	int failed = 0;

	for (int i = 0; i < (int)NROWS; i++)
		if (!row_open(i))
			failed++;
	return failed;
}

int
charset_preload(void)
{
	int failed = charset_table_share(open_all);

	return failed == -1 ? (int)NROWS : failed;
}

void
charset_unload(void)
{
	charset_table_free();
}

bool
charset_known(const char *name, size_t len)
{
	int row = find_row(name, len);

	return row != -1 && row_open(row);
}

const char *
charset_name(size_t n)
{
	return n < NROWS ? rows[n].name : NULL;
}

bool
charset_conv_init(struct charset_conv *c, const char *charset, size_t len)
{
	int row = find_row(charset, len);
	bool known = row != -1 && row_open(row);

	memset(c, 0, sizeof(*c));
	c->row = known ? row : ROW_GUESS;
	return known;
}

/*
 * The first two octets say which order it is, big-endian by default (RFC 2781, 4.3).
 * The octets taken are held.
 */
static size_t
utf16_order(struct charset_conv *c, const char *in, size_t len, bool last)
{
	size_t i = 0;

	while (i < len && c->nheld < 2)
		c->held[c->nheld++] = in[i++];
	if (c->nheld < 2 && !last)
		return i;
	c->row = ROW_UTF16BE;
	if (c->nheld == 2 && memcmp(c->held, "\xff\xfe", 2) == 0)
		c->row = ROW_UTF16LE;
	if (c->row == ROW_UTF16LE ||
	    (c->nheld == 2 && memcmp(c->held, "\xfe\xff", 2) == 0))
		c->nheld = 0;
	return i;
}

static uint32_t
windows_1252(unsigned char b)
{
	static const uint16_t high[32] = { 0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026,
		0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0, 0,
		0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122,
		0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178 };

	if (b < 0x80 || b >= 0xa0)
		return b;
	return high[b - 0x80] != 0 ? high[b - 0x80] : REPLACEMENT;
}

/* s may be the start of a valid character that needs more octets than len. */
static bool
utf8_is_prefix(const char *s, size_t len)
{
	static const char *tails[] = { "\x80\x80\x80", "\xbf\xbf\xbf", "\x90\x80\x80",
		"\x9f\xbf\xbf" };
	char buf[4];
	uint32_t c;

	/* Complete it in each way that some first octet wants. */
	for (size_t n = len + 1; n <= 4; n++) {
		for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
			memcpy(buf, s, len);
			memcpy(buf + len, len == 1 ? tails[i] : "\x80\x80\x80", n - len);
			if (utf8_get(buf, n, &c) == n)
				return true;
		}
	}
	return false;
}

/* UTF-8, ASCII with whatever else is in it, windows-1252. */
static void
own_feed(struct charset_conv *c, const char *in, size_t len, bool last, char *out,
    size_t cap, size_t *used, size_t *made)
{
	char joined[4];
	const char *p;
	size_t i = 0, n = 0, have, took;
	uint32_t ch = REPLACEMENT;

	while ((i < len || (last && c->nheld > 0)) && cap - n >= 4) {
		if (c->nheld == 0 && (unsigned char)in[i] < 0x80) {
			out[n++] = in[i++];
			continue;
		}
		if (c->row == ROW_1252) {
			c->nheld = 0;
			if (i == len)
				break;
			ch = windows_1252((unsigned char)in[i++]);
			c->replaced |= ch == REPLACEMENT;
			n += utf8_put(ch, out + n);
			continue;
		}
		p = in + i;
		have = len - i;
		if (c->nheld > 0) {
			memcpy(joined, c->held, c->nheld);
			have = c->nheld;
			while (have < sizeof(joined) && i + have - c->nheld < len) {
				joined[have] = in[i + have - c->nheld];
				have++;
			}
			p = joined;
		}
		if ((took = utf8_get(p, have, &ch)) == 0) {
			if (!last && have < 4 && utf8_is_prefix(p, have)) {
				/* All that is left is part of one character. */
				memcpy(c->held, p, have);
				i = len;
				c->nheld = (unsigned int)have;
				break;
			}
			c->replaced = true;
			took = 1;
			ch = c->row == ROW_GUESS ? windows_1252((unsigned char)p[0])
						 : REPLACEMENT;
		}
		n += utf8_put(ch, out + n);
		if (took < c->nheld) {
			c->nheld -= (unsigned int)took;
			memmove(c->held, c->held + took, c->nheld);
		} else {
			i += took - c->nheld;
			c->nheld = 0;
		}
	}
	*used = i;
	*made = n;
}

static void
table_feed(struct charset_conv *c, const char *in, size_t len, bool last, char *out,
    size_t cap, size_t *used, size_t *made)
{
	uint8_t joined[sizeof(c->held) + CHARSET_OCTETS_MAX];
	const uint8_t *p;
	uint32_t chars[2];
	size_t i = 0, n = 0, have, n_chars, took;
	int r;

	while ((i < len || (last && c->nheld > 0)) && cap - n >= ROOM_MIN) {
		p = (const uint8_t *)in + i;
		have = len - i;
		if (c->nheld > 0) {
			have = have < CHARSET_OCTETS_MAX ? have : CHARSET_OCTETS_MAX;
			memcpy(joined, c->held, c->nheld);
			if (have > 0)
				memcpy(joined + c->nheld, in + i, have);
			p = joined;
		}
		r = charset_table_get((size_t)c->row, rows[c->row].kind, &c->state, p,
		    c->nheld + have, last && i + have == len, chars, &n_chars);
		if (r == CHARSET_MORE && c->nheld + have <= sizeof(c->held)) {
			/* All that is left is part of one character. */
			memcpy(c->held + c->nheld, in + i, have);
			c->nheld += (unsigned int)have;
			i += have;
			break;
		}
		if (r <= 0) {
			r = 1;
			n_chars = 1;
			chars[0] = REPLACEMENT;
		}
		took = (size_t)r;
		for (size_t k = 0; k < n_chars; k++) {
			c->replaced |= chars[k] == REPLACEMENT;
			n += utf8_put(chars[k], out + n);
		}
		if (took < c->nheld) {
			c->nheld -= (unsigned int)took;
			memmove(c->held, c->held + took, c->nheld);
		} else {
			i += took - c->nheld;
			c->nheld = 0;
		}
	}
	*used = i;
	*made = n;
}

void
charset_conv_feed(struct charset_conv *c, const char *in, size_t len, bool last,
    char *out, size_t cap, size_t *used, size_t *made)
{
	size_t skip = 0;

	if (c->row == ROW_UTF16) {
		skip = utf16_order(c, in, len, last);
		in += skip;
		len -= skip;
	}
	*used = *made = 0;
	if (c->row == ROW_UTF16)
		;
	else if (rows[c->row].kind == CHARSET_OWN)
		own_feed(c, in, len, last, out, cap, used, made);
	else
		table_feed(c, in, len, last, out, cap, used, made);
	*used += skip;
}

int
charset_to_utf8(const char *charset, size_t charset_len, const char *in, size_t len,
    char *out, size_t cap, size_t *out_len)
{
	struct charset_conv c;
	char tmp[1024];
	size_t n = 0, used, made, fit;
	bool known = charset_conv_init(&c, charset, charset_len), cut = false;

	*out_len = 0;
	if (cap == 0)
		return 1;
	/* The whole is at hand: decide once rather than for each octet. */
	if (!known && !utf8_valid(in, len))
		c.row = ROW_1252;
	do {
		charset_conv_feed(&c, in, len, true, tmp, sizeof(tmp), &used, &made);
		in += used;
		len -= used;
		fit = utf8_cut(tmp, made, cap - 1 - n);
		cut = fit < made;
		memcpy(out + n, tmp, fit);
		n += fit;
	} while ((len > 0 || c.nheld > 0) && !cut && (used > 0 || made > 0));
	out[n] = '\0';
	*out_len = n;
	return !known || c.replaced || cut;
}
