/* SPDX-License-Identifier: ISC */
/* Resource records between dnsd and those who ask it; see dnsrr.h. */
#include "common/proto/dnsrr.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"

#define HEAD 8

static const struct {
	const char *name;
	uint16_t type;
} types[] = {
	{ "A", DNSRR_A },
	{ "NS", DNSRR_NS },
	{ "CNAME", DNSRR_CNAME },
	{ "PTR", DNSRR_PTR },
	{ "MX", DNSRR_MX },
	{ "TXT", DNSRR_TXT },
	{ "AAAA", DNSRR_AAAA },
	{ "SRV", DNSRR_SRV },
	{ "TLSA", DNSRR_TLSA },
	{ "CAA", DNSRR_CAA },
};
#define N_TYPES (sizeof(types) / sizeof(types[0]))

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

int
dnsrr_add(uint8_t *buf, size_t cap, size_t *len, const struct dnsrr *rr)
{
	uint8_t *p = buf + *len;

	if (rr->len > UINT16_MAX || cap - *len < HEAD || cap - *len - HEAD < rr->len)
		return -1;
	put16(p, rr->type);
	put16(p + 2, rr->ttl >> 16);
	put16(p + 4, rr->ttl & 0xffff);
	put16(p + 6, (uint32_t)rr->len);
	if (rr->len > 0)
		memcpy(p + HEAD, rr->data, rr->len);
	*len += HEAD + rr->len;
	return 0;
}

int
dnsrr_next(const uint8_t *buf, size_t len, size_t *off, struct dnsrr *rr)
{
	const uint8_t *p = buf + *off;
	size_t left = len - *off;

	if (left == 0)
		return 0;
	if (left < HEAD)
		return -1;
	rr->type = get16(p);
	rr->ttl = (uint32_t)get16(p + 2) << 16 | get16(p + 4);
	rr->len = get16(p + 6);
	rr->data = p + HEAD;
	if (left - HEAD < rr->len)
		return -1;
	if ((rr->type == DNSRR_A && rr->len != 4) ||
	    (rr->type == DNSRR_AAAA && rr->len != 16))
		return -1;
	*off += HEAD + rr->len;
	return 1;
}

int
dnsrr_name(const struct dnsrr *rr, char name[DNSRR_NAME_MAX + 1], uint16_t nums[3])
{
	size_t n, len;

	switch (rr->type) {
	case DNSRR_PTR:
	case DNSRR_CNAME:
	case DNSRR_NS:
		n = 0;
		break;
	case DNSRR_MX:
		n = 1;
		break;
	case DNSRR_SRV:
		n = 3;
		break;
	default:
		return -1;
	}
	if (rr->len <= 2 * n)
		return -1;
	len = rr->len - 2 * n;
	if (len > DNSRR_NAME_MAX || memchr(rr->data + 2 * n, '\0', len) != NULL)
		return -1;
	for (size_t i = 0; i < n && nums != NULL; i++)
		nums[i] = get16(rr->data + 2 * i);
	memcpy(name, rr->data + 2 * n, len);
	name[len] = '\0';
	return 0;
}

static void
quoted(const uint8_t *p, size_t len, char *out, size_t cap)
{
	size_t n = 0;

	if (cap < 3)
		return;
	out[n++] = '"';
	for (; len > 0 && n + 6 < cap; p++, len--) {
		if (*p == '"' || *p == '\\') {
			out[n++] = '\\';
			out[n++] = (char)*p;
		} else if (*p >= 0x20 && *p < 0x7f)
			out[n++] = (char)*p;
		else
			n += (size_t)snprintf(out + n, cap - n, "\\%03u", *p);
	}
	out[n++] = '"';
	out[n < cap ? n : cap - 1] = '\0';
}

static void
hexed(const uint8_t *p, size_t len, char *out, size_t cap)
{
	for (size_t n = 0; len > 0 && n + 2 < cap; p++, len--, n += 2)
		snprintf(out + n, cap - n, "%02x", *p);
}

void
dnsrr_text(const struct dnsrr *rr, char *out, size_t cap)
{
	char name[DNSRR_NAME_MAX + 1];
	uint16_t nums[3];
	size_t n;

	if (cap == 0)
		return;
	out[0] = '\0';
	switch (rr->type) {
	case DNSRR_A:
		if (rr->len == 4)
			(void)inet_ntop(AF_INET, rr->data, out, (socklen_t)cap);
		break;
	case DNSRR_AAAA:
		if (rr->len == 16)
			(void)inet_ntop(AF_INET6, rr->data, out, (socklen_t)cap);
		break;
	case DNSRR_PTR:
	case DNSRR_CNAME:
	case DNSRR_NS:
		if (dnsrr_name(rr, name, NULL) == 0)
			strlcpy(out, name, cap);
		break;
	case DNSRR_MX:
		if (dnsrr_name(rr, name, nums) == 0)
			snprintf(out, cap, "%u %s", nums[0], name);
		break;
	case DNSRR_SRV:
		if (dnsrr_name(rr, name, nums) == 0)
			snprintf(
			    out, cap, "%u %u %u %s", nums[0], nums[1], nums[2], name);
		break;
	case DNSRR_TXT:
		quoted(rr->data, rr->len, out, cap);
		break;
	case DNSRR_TLSA:
		if (rr->len < 3)
			break;
		n = (size_t)snprintf(
		    out, cap, "%u %u %u ", rr->data[0], rr->data[1], rr->data[2]);
		if (n < cap)
			hexed(rr->data + 3, rr->len - 3, out + n, cap - n);
		break;
	case DNSRR_CAA:
		if (rr->len < 2 || rr->data[1] > rr->len - 2)
			break;
		n = (size_t)snprintf(out, cap, "%u %.*s ", rr->data[0], rr->data[1],
		    (const char *)rr->data + 2);
		if (n < cap)
			quoted(rr->data + 2 + rr->data[1], rr->len - 2 - rr->data[1],
			    out + n, cap - n);
		break;
	default:
		hexed(rr->data, rr->len, out, cap);
	}
}

uint16_t
dnsrr_type_by_name(const char *name)
{
	const char *why;
	long long n;

	for (size_t i = 0; i < N_TYPES; i++)
		if (strcasecmp(types[i].name, name) == 0)
			return types[i].type;
	if (strncasecmp(name, "TYPE", 4) != 0)
		return 0;
	n = strtonum(name + 4, 1, UINT16_MAX, &why);
	return why == NULL ? (uint16_t)n : 0;
}

const char *
dnsrr_type_name(uint16_t type, char buf[16])
{
	for (size_t i = 0; i < N_TYPES; i++)
		if (types[i].type == type)
			return types[i].name;
	snprintf(buf, 16, "TYPE%u", type);
	return buf;
}

int
dnsrr_reverse_name(int family, const uint8_t *ip, char *out, size_t cap)
{
	size_t n = 0;
	int r;

	if (family == AF_INET) {
		r = snprintf(
		    out, cap, "%u.%u.%u.%u.in-addr.arpa", ip[3], ip[2], ip[1], ip[0]);
		return r < 0 || (size_t)r >= cap ? -1 : r;
	}
	if (family != AF_INET6 || cap < 73)
		return -1;
	for (int i = 15; i >= 0; i--)
		n += (size_t)snprintf(out + n, cap - n, "%x.%x.", ip[i] & 15, ip[i] >> 4);
	n += (size_t)snprintf(out + n, cap - n, "ip6.arpa");
	return (int)n;
}
