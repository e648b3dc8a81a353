/* SPDX-License-Identifier: ISC */
/*
 * Charsets to UTF-8.  Only names of the table below reach iconv, so that a message
 * cannot choose a converter nobody thought of (ISO-2022-CN-EXT: CVE-2024-2961).
 */
#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <string.h>

#include "common/proto/charset.h"
#include "common/proto/encoding.h"

#define REPLACEMENT 0xfffd
#define ROOM_MIN 32 /* for one turn of a converter */

/* Rows of own code, before those of iconv. */
enum {
	ROW_GUESS,
	ROW_UTF8,
	ROW_1252,
	ROW_UTF16,
	ROW_UTF16BE,
	ROW_UTF16LE
};

static struct {
	const char *name;  /* as people know it */
	const char *iconv; /* NULL: own code */
	iconv_t cd;
	bool open, failed;
} rows[] = {
	[ROW_GUESS] = { .name = "us-ascii" },
	[ROW_UTF8] = { .name = "utf-8" },
	[ROW_1252] = { .name = "windows-1252" },
	[ROW_UTF16] = { .name = "utf-16" }, /* becomes one of the next two */
	[ROW_UTF16BE] = { .name = "utf-16be", .iconv = "UTF-16BE" },
	[ROW_UTF16LE] = { .name = "utf-16le", .iconv = "UTF-16LE" },
	{ .name = "iso-8859-2", .iconv = "ISO-8859-2" },
	{ .name = "iso-8859-3", .iconv = "ISO-8859-3" },
	{ .name = "iso-8859-4", .iconv = "ISO-8859-4" },
	{ .name = "iso-8859-5", .iconv = "ISO-8859-5" },
	{ .name = "iso-8859-6", .iconv = "ISO-8859-6" },
	{ .name = "iso-8859-7", .iconv = "ISO-8859-7" },
	{ .name = "iso-8859-8", .iconv = "ISO-8859-8" },
	{ .name = "iso-8859-9", .iconv = "ISO-8859-9" },
	{ .name = "iso-8859-10", .iconv = "ISO-8859-10" },
	{ .name = "iso-8859-11", .iconv = "CP874" },
	{ .name = "iso-8859-13", .iconv = "ISO-8859-13" },
	{ .name = "iso-8859-14", .iconv = "ISO-8859-14" },
	{ .name = "iso-8859-15", .iconv = "ISO-8859-15" },
	{ .name = "iso-8859-16", .iconv = "ISO-8859-16" },
	{ .name = "windows-1250", .iconv = "CP1250" },
	{ .name = "windows-1251", .iconv = "CP1251" },
	{ .name = "windows-1253", .iconv = "CP1253" },
	{ .name = "windows-1254", .iconv = "CP1254" },
	{ .name = "windows-1255", .iconv = "CP1255" },
	{ .name = "windows-1256", .iconv = "CP1256" },
	{ .name = "windows-1257", .iconv = "CP1257" },
	{ .name = "windows-1258", .iconv = "CP1258" },
	{ .name = "koi8-r", .iconv = "KOI8-R" },
	{ .name = "koi8-u", .iconv = "KOI8-U" },
	{ .name = "macintosh", .iconv = "MACINTOSH" },
	{ .name = "ibm437", .iconv = "CP437" },
	{ .name = "ibm850", .iconv = "CP850" },
	{ .name = "ibm866", .iconv = "CP866" },
	{ .name = "gb18030", .iconv = "GB18030" },
	{ .name = "big5", .iconv = "BIG5-HKSCS" },
	{ .name = "shift_jis", .iconv = "CP932" },
	{ .name = "euc-jp", .iconv = "EUC-JP" },
	{ .name = "iso-2022-jp", .iconv = "ISO-2022-JP-2" },
	{ .name = "euc-kr", .iconv = "UHC" },
	{ .name = "iso-2022-kr", .iconv = "ISO-2022-KR" },
	{ .name = "utf-7", .iconv = "UTF-7" },
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

/* Set by the first charset_preload(): from then on iconv_open is not called again. */
static bool preloaded;

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
	if (rows[row].iconv == NULL || rows[row].open)
		return true;
	if (preloaded || rows[row].failed)
		return false;
	rows[row].cd = iconv_open("UTF-8", rows[row].iconv);
	rows[row].open = rows[row].cd != (iconv_t)-1;
	rows[row].failed = !rows[row].open;
	return rows[row].open;
}

int
charset_preload(void)
{
	int failed = 0;

	for (int i = 0; i < (int)NROWS; i++) {
		if (!row_open(i))
			failed++;
	}
	preloaded = true;
	return failed;
}

void
charset_unload(void)
{
	for (size_t i = 0; i < NROWS; i++) {
		if (rows[i].open)
			iconv_close(rows[i].cd);
		rows[i].open = rows[i].failed = false;
	}
	preloaded = false;
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
	if (rows[c->row].iconv != NULL)
		iconv(rows[c->row].cd, NULL, NULL, NULL, NULL);
	return known;
}

/*
 * The first two octets say which order it is, big-endian by default (RFC 2781, 4.3);
 * glibc's own UTF-16 keeps the order of the last text in its descriptor.  The octets
 * taken are held.
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
	if (row_open(c->row))
		iconv(rows[c->row].cd, NULL, NULL, NULL, NULL);
	else
		c->row = ROW_1252;
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

/* One call of iconv on octets that may end within a character.  -1: out is full. */
static int
iconv_some(struct charset_conv *c, const char *in, size_t len, bool last, char *out,
    size_t cap, size_t *used, size_t *made)
{
	char *ip = (char *)(uintptr_t)in, *op = out;
	size_t ileft = len, oleft = cap - 4, rc;
	int e;

	rc = iconv(rows[c->row].cd, &ip, &ileft, &op, &oleft);
	e = errno;
	if (rc != (size_t)-1 && rc > 0)
		c->replaced = true;
	*used = len - ileft;
	*made = (size_t)(op - out);
	if (rc != (size_t)-1)
		return 0;
	if (e == E2BIG)
		return -1;
	/* Malformed, or cut off by the end: one mark for one octet, then go on. */
	if (e == EILSEQ || last) {
		*made += utf8_put(REPLACEMENT, op);
		*used += ileft > 0;
		c->replaced = true;
		/* glibc leaves it open whether base64 goes on after an error. */
		if (strcmp(rows[c->row].iconv, "UTF-7") == 0)
			iconv(rows[c->row].cd, NULL, NULL, NULL, NULL);
	}
	return 0;
}

static void
iconv_feed(struct charset_conv *c, const char *in, size_t len, bool last, char *out,
    size_t cap, size_t *used, size_t *made)
{
	char joined[2 * sizeof(c->held)];
	size_t i = 0, n = 0, have, took, wrote;
	bool full = false;

	while (!full && (i < len || (last && c->nheld > 0)) && cap - n >= ROOM_MIN) {
		if (c->nheld > 0) {
			have = len - i < sizeof(c->held) ? len - i : sizeof(c->held);
			memcpy(joined, c->held, c->nheld);
			if (have > 0)
				memcpy(joined + c->nheld, in + i, have);
			full = iconv_some(c, joined, c->nheld + have,
				   last && i + have == len, out + n, cap - n, &took,
				   &wrote) == -1;
			n += wrote;
			if (took >= c->nheld) {
				i += took - c->nheld;
				c->nheld = 0;
				continue;
			}
			c->nheld -= (unsigned int)took;
			memmove(c->held, joined + took, c->nheld);
			if (took > 0 || full)
				continue;
			/* Still incomplete: all that is left joins what is held. */
			if (c->nheld + have <= sizeof(c->held)) {
				memcpy(c->held + c->nheld, in + i, have);
				c->nheld += (unsigned int)have;
				i += have;
				break;
			}
			/* No character is as long as that. */
			c->nheld--;
			memmove(c->held, c->held + 1, c->nheld);
			c->replaced = true;
			continue;
		}
		full = iconv_some(c, in + i, len - i, last, out + n, cap - n, &took,
			   &wrote) == -1;
		i += took;
		n += wrote;
		if (full || took > 0 || i == len)
			continue;
		if (len - i <= sizeof(c->held) - 4) {
			memcpy(c->held, in + i, len - i);
			c->nheld = (unsigned int)(len - i);
			i = len;
		} else {
			i++;
			c->replaced = true;
		}
	}
	if (last && i == len && c->nheld == 0 && cap - n >= ROOM_MIN) {
		char *op = out + n;
		size_t oleft = cap - n;

		iconv(rows[c->row].cd, NULL, NULL, &op, &oleft);
		n = (size_t)(op - out);
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
	else if (rows[c->row].iconv == NULL)
		own_feed(c, in, len, last, out, cap, used, made);
	else
		iconv_feed(c, in, len, last, out, cap, used, made);
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
