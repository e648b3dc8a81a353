/* SPDX-License-Identifier: ISC */
/* DNS answers from the wire; see wire.h. */
#include "dnsd/wire.h"

#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"

#define HEADER 12
#define NAME_WIRE_MAX 255 /* RFC 1035, 2.3.4 */
#define CLASS_IN 1

struct rr {
	char owner[DNSRR_NAME_MAX + 1];
	uint16_t type;
	uint16_t class;
	uint32_t ttl;
	size_t rdata;
	size_t rdlen;
};

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Appends an octet of a label; *n beyond the room means that the name is too long. */
static void
put_label_octet(char *out, size_t *n, uint8_t c)
{
	char esc[5];
	size_t len = 1;

	if (c >= 'A' && c <= 'Z')
		c = (uint8_t)(c + 'a' - 'A');
	esc[0] = (char)c;
	if (c == '.' || c == '\\') {
		esc[0] = '\\';
		esc[1] = (char)c;
		len = 2;
	} else if (c <= 0x20 || c >= 0x7f)
		len = (size_t)snprintf(esc, sizeof(esc), "\\%03u", c);
	if (*n + len <= DNSRR_NAME_MAX)
		memcpy(out + *n, esc, len);
	*n += len;
}

int
wire_name(const uint8_t *pkt, size_t len, size_t *off, char out[DNSRR_NAME_MAX + 1])
{
	size_t at = *off, bound = *off, octets = 0, n = 0;
	int jumped = 0;

	for (;;) {
		size_t label;

		if (at >= len)
			return -1;
		label = pkt[at];
		if ((label & 0xc0) == 0xc0) {
			size_t to;

			if (len - at < 2)
				return -1;
			to = (label & 0x3f) << 8 | pkt[at + 1];
			if (!jumped)
				*off = at + 2;
			jumped = 1;
			/* Backwards each time, hence an end. */
			if (to >= bound)
				return -1;
			at = bound = to;
			continue;
		}
		if (label > 63)
			return -1;
		at++;
		octets += label + 1;
		if (octets > NAME_WIRE_MAX || len - at < label)
			return -1;
		if (label == 0)
			break;
		if (n > 0) {
			if (n < DNSRR_NAME_MAX)
				out[n] = '.';
			n++;
		}
		for (; label > 0; label--)
			put_label_octet(out, &n, pkt[at++]);
	}
	if (!jumped)
		*off = at;
	if (n == 0)
		out[n++] = '.';
	out[n <= DNSRR_NAME_MAX ? n : 0] = '\0';
	return 0;
}

/* The record at *off, which moves behind it. */
static int
get_rr(const uint8_t *pkt, size_t len, size_t *off, struct rr *rr)
{
	const uint8_t *p;

	if (wire_name(pkt, len, off, rr->owner) == -1 || len - *off < 10)
		return -1;
	p = pkt + *off;
	rr->type = get16(p);
	rr->class = get16(p + 2);
	rr->ttl = (uint32_t)get16(p + 4) << 16 | get16(p + 6);
	if (rr->ttl > INT32_MAX) /* RFC 2181, 8 */
		rr->ttl = 0;
	rr->rdlen = get16(p + 8);
	rr->rdata = *off + 10;
	if (len - rr->rdata < rr->rdlen)
		return -1;
	*off = rr->rdata + rr->rdlen;
	return 0;
}

/* nums numbers of 16 bits and a name that fills the rest. */
static int
convert_name(
    const uint8_t *pkt, const struct rr *rr, size_t nums, uint8_t *out, size_t *out_len)
{
	char name[DNSRR_NAME_MAX + 1];
	size_t off = rr->rdata + 2 * nums, end = rr->rdata + rr->rdlen, n;

	if (rr->rdlen < 2 * nums + 1 || wire_name(pkt, end, &off, name) == -1 ||
	    off != end || name[0] == '\0')
		return -1;
	n = strlen(name);
	memcpy(out, pkt + rr->rdata, 2 * nums);
	memcpy(out + 2 * nums, name, n);
	*out_len = 2 * nums + n;
	return 0;
}

static int
convert_txt(const uint8_t *p, size_t len, uint8_t *out, size_t *out_len)
{
	size_t n = 0;

	if (len == 0)
		return -1;
	while (len > 0) {
		size_t s = *p;

		if (s > len - 1)
			return -1;
		memcpy(out + n, p + 1, s);
		n += s;
		p += s + 1;
		len -= s + 1;
	}
	*out_len = n;
	return 0;
}

/* From rdata to the form of dnsrr.h; out has room for rdlen, and for a name. */
static int
convert(const uint8_t *pkt, const struct rr *rr, uint8_t *out, size_t *out_len)
{
	const uint8_t *p = pkt + rr->rdata;

	switch (rr->type) {
	case DNSRR_PTR:
	case DNSRR_CNAME:
	case DNSRR_NS:
		return convert_name(pkt, rr, 0, out, out_len);
	case DNSRR_MX:
		return convert_name(pkt, rr, 1, out, out_len);
	case DNSRR_SRV:
		return convert_name(pkt, rr, 3, out, out_len);
	case DNSRR_TXT:
		return convert_txt(p, rr->rdlen, out, out_len);
	case DNSRR_A:
		if (rr->rdlen != 4)
			return -1;
		break;
	case DNSRR_AAAA:
		if (rr->rdlen != 16)
			return -1;
		break;
	case DNSRR_TLSA:
		if (rr->rdlen < 4)
			return -1;
		break;
	case DNSRR_CAA:
		if (rr->rdlen < 2 || p[1] == 0 || p[1] > rr->rdlen - 2)
			return -1;
		break;
	default:
		break;
	}
	if (rr->rdlen > 0)
		memcpy(out, p, rr->rdlen);
	*out_len = rr->rdlen;
	return 0;
}

/*
 * Where the chain of CNAMEs ends. In any order of records: a pass for each link,
 * within the bound.
 */
static int
follow(
    const uint8_t *pkt, size_t len, size_t answers, unsigned int n, struct wire_answer *a)
{
	for (int links = 0; links < WIRE_CNAMES_MAX; links++) {
		size_t off = answers;
		unsigned int i;

		for (i = 0; i < n; i++) {
			struct rr rr;
			char target[DNSRR_NAME_MAX + 1];
			size_t at;

			if (get_rr(pkt, len, &off, &rr) == -1)
				return -1;
			if (rr.type != DNSRR_CNAME || rr.class != CLASS_IN ||
			    strcmp(rr.owner, a->canonical) != 0)
				continue;
			at = rr.rdata;
			if (wire_name(pkt, rr.rdata + rr.rdlen, &at, target) == -1 ||
			    target[0] == '\0')
				return -1;
			strlcpy(a->canonical, target, sizeof(a->canonical));
			if (rr.ttl < a->ttl)
				a->ttl = rr.ttl;
			break;
		}
		if (i == n)
			return 0;
	}
	return -1;
}

static int
collect(const uint8_t *pkt, size_t len, size_t off, unsigned int n, uint16_t type,
    struct wire_answer *a)
{
	static uint8_t data[UINT16_MAX + 1]; /* one thread, never re-entered */

	for (unsigned int i = 0; i < n; i++) {
		struct rr rr;
		struct dnsrr out = { .data = data };

		if (get_rr(pkt, len, &off, &rr) == -1)
			return -1;
		if (rr.type != type || rr.class != CLASS_IN ||
		    strcmp(rr.owner, a->canonical) != 0 ||
		    convert(pkt, &rr, data, &out.len) == -1)
			continue;
		out.type = rr.type;
		out.ttl = rr.ttl;
		if (dnsrr_add(a->records, sizeof(a->records), &a->len, &out) == -1) {
			a->truncated = 1;
			continue;
		}
		a->count++;
		if (rr.ttl < a->ttl)
			a->ttl = rr.ttl;
	}
	return 0;
}

int
wire_decode(const uint8_t *pkt, size_t len, const char *name, uint16_t type,
    struct wire_answer *a)
{
	size_t off = HEADER;
	unsigned int questions, answers;

	a->rcode = 0;
	a->count = 0;
	a->len = 0;
	a->truncated = 0;
	a->ttl = UINT32_MAX;
	a->canonical[0] = '\0';
	if (len < HEADER)
		return -1;
	a->rcode = pkt[3] & 15;
	questions = get16(pkt + 4);
	answers = get16(pkt + 6);
	if (questions > 1 || answers > WIRE_RECORDS_MAX)
		return -1;
	if (questions == 1) {
		if (wire_name(pkt, len, &off, a->canonical) == -1 || len - off < 4 ||
		    get16(pkt + off) != type)
			return -1;
		off += 4;
	} else {
		strlcpy(a->canonical, name, sizeof(a->canonical));
		for (char *c = a->canonical; *c != '\0'; c++)
			if (*c >= 'A' && *c <= 'Z')
				*c = (char)(*c + 'a' - 'A');
	}
	if (type != DNSRR_CNAME && follow(pkt, len, off, answers, a) == -1)
		return -1;
	if (collect(pkt, len, off, answers, type, a) == -1)
		return -1;
	if (a->ttl == UINT32_MAX)
		a->ttl = 0;
	return 0;
}
