/* SPDX-License-Identifier: ISC */
/* Lists of mail hosts between dnsd and deliverd; see dnshosts.h. */
#include "common/proto/dnshosts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/compat/compat.h"

static size_t
ip_len(int family)
{
	return family == AF_INET ? 4 : 16;
}

int
dnshosts_add(uint8_t *buf, size_t cap, size_t *len, const struct dnshost *h)
{
	size_t name_len = strlen(h->name), canonical_len = strlen(h->canonical);
	size_t need = 6 + name_len + canonical_len;
	uint8_t *p = buf + *len;

	if (name_len == 0 || name_len > 255 || canonical_len > 255 ||
	    h->n_addrs > DNSHOSTS_ADDRS_MAX)
		return -1;
	for (size_t i = 0; i < h->n_addrs; i++)
		need += 1 + ip_len(h->addrs[i].family);
	if (cap - *len < need)
		return -1;
	*p++ = (uint8_t)(h->preference >> 8);
	*p++ = (uint8_t)h->preference;
	*p++ = h->secure != 0;
	*p++ = (uint8_t)name_len;
	memcpy(p, h->name, name_len);
	p += name_len;
	*p++ = (uint8_t)canonical_len;
	memcpy(p, h->canonical, canonical_len);
	p += canonical_len;
	*p++ = (uint8_t)h->n_addrs;
	for (size_t i = 0; i < h->n_addrs; i++) {
		size_t n = ip_len(h->addrs[i].family);

		*p++ = n == 4 ? 4 : 6;
		memcpy(p, h->addrs[i].ip, n);
		p += n;
	}
	*len += need;
	return 0;
}

int
dnshosts_next(const uint8_t *buf, size_t len, size_t *off, struct dnshost *h)
{
	const uint8_t *p = buf + *off, *end = buf + len;
	size_t n;

	if (p == end)
		return 0;
	memset(h, 0, sizeof(*h));
	if (end - p < 4)
		return -1;
	h->preference = (uint16_t)(p[0] << 8 | p[1]);
	h->secure = p[2];
	n = p[3];
	p += 4;
	if (p[-2] > 1 || n == 0 || (size_t)(end - p) < n + 1 ||
	    memchr(p, '\0', n) != NULL)
		return -1;
	memcpy(h->name, p, n);
	p += n;
	n = *p++;
	if ((size_t)(end - p) < n + 1 || memchr(p, '\0', n) != NULL)
		return -1;
	memcpy(h->canonical, p, n);
	p += n;
	h->n_addrs = *p++;
	if (h->n_addrs > DNSHOSTS_ADDRS_MAX)
		return -1;
	for (size_t i = 0; i < h->n_addrs; i++) {
		if (p == end || (*p != 4 && *p != 6))
			return -1;
		h->addrs[i].family = *p == 4 ? AF_INET : AF_INET6;
		n = ip_len(h->addrs[i].family);
		p++;
		if ((size_t)(end - p) < n)
			return -1;
		memcpy(h->addrs[i].ip, p, n);
		p += n;
	}
	*off = (size_t)(p - buf);
	return 1;
}

socklen_t
dnsaddr_sockaddr(const struct dnsaddr *a, uint16_t port, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (a->family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->ip, 4);
		return sizeof(*in);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, a->ip, 16);
		return sizeof(*in6);
	}
}

const char *
dnsaddr_text(const struct dnsaddr *a, char *out, size_t cap)
{
	if (inet_ntop(a->family, a->ip, out, (socklen_t)cap) == NULL)
		strlcpy(out, "", cap);
	return out;
}

int
dnsaddr_parse(const char *s, struct dnsaddr *a)
{
	memset(a, 0, sizeof(*a));
	a->family = AF_INET;
	if (inet_pton(AF_INET, s, a->ip) == 1)
		return 0;
	a->family = AF_INET6;
	return inet_pton(AF_INET6, s, a->ip) == 1 ? 0 : -1;
}

static int
special4(const uint8_t ip[4])
{
	return ip[0] == 0 || ip[0] == 127 || ip[0] >= 224;
}

int
dnsaddr_is_special(const struct dnsaddr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t zero[15];

	if (a->family == AF_INET)
		return special4(a->ip);
	if (memcmp(a->ip, mapped, 12) == 0)
		return special4(a->ip + 12);
	return a->ip[0] == 0xff || (memcmp(a->ip, zero, 15) == 0 && a->ip[15] <= 1);
}
