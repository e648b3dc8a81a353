/* SPDX-License-Identifier: ISC */
/* Access lists in the directory; see access.h. Keys are "KIND SUBJECT". */
#include "authd/access.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

#define VALUE_MAX 512
#define KINDS 5
#define LISTED 4 /* what a list of the system may have */

/* How many entries there are of each length of prefix: mostly none, and no look-up. */
static uint32_t prefixes[KINDS][2][129];
static uint32_t n_senders;

struct network {
	int family;
	unsigned char bytes[16];
	unsigned int bits;
};

static const char *const words[KINDS] = { "none", "allow", "deny", "ban", "junk" };

const char *
access_word(enum access_kind kind)
{
	return words[kind];
}

enum access_kind
access_kind_of(const char *word)
{
	for (int i = ACCESS_ALLOW; i < KINDS; i++)
		if (strcmp(word, words[i]) == 0)
			return (enum access_kind)i;
	return ACCESS_NONE;
}

static unsigned int
bits_max(int family)
{
	return family == AF_INET ? 32 : 128;
}

static int
network_parse(const char *text, struct network *n)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	char address[64];
	const char *slash = strchr(text, '/'), *bad = NULL;
	size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);

	if (len >= sizeof(address))
		return -1;
	memcpy(address, text, len);
	address[len] = '\0';
	memset(n, 0, sizeof(*n));
	n->family = AF_INET;
	if (inet_pton(AF_INET, address, n->bytes) != 1) {
		n->family = AF_INET6;
		if (inet_pton(AF_INET6, address, n->bytes) != 1)
			return -1;
		if (slash == NULL && memcmp(n->bytes, mapped, sizeof(mapped)) == 0) {
			memmove(n->bytes, n->bytes + 12, 4);
			memset(n->bytes + 4, 0, 12);
			n->family = AF_INET;
		}
	}
	n->bits = bits_max(n->family);
	if (slash != NULL)
		n->bits = (unsigned int)strtonum(slash + 1, 0, bits_max(n->family), &bad);
	return bad == NULL ? 0 : -1;
}

/* The same network with fewer bits. */
static void
network_cut(struct network *n, unsigned int bits)
{
	n->bits = bits;
	for (unsigned int i = 0; i < 16; i++) {
		unsigned int keep = bits <= i * 8 ? 0 : bits - i * 8;

		if (keep < 8)
			n->bytes[i] &= (unsigned char)(0xff00 >> keep);
	}
}

static int
network_print(const struct network *n, char *out, size_t cap)
{
	char address[INET6_ADDRSTRLEN];
	int len;

	if (inet_ntop(n->family, n->bytes, address, sizeof(address)) == NULL)
		return -1;
	len = n->bits == bits_max(n->family)
		  ? snprintf(out, cap, "%s", address)
		  : snprintf(out, cap, "%s/%u", address, n->bits);
	return len < 0 || (size_t)len >= cap ? -1 : 0;
}

int
access_subject(const char *word, char *out, size_t cap)
{
	struct network n;
	struct address a;
	char domain[256];

	if (network_parse(word, &n) == 0) {
		network_cut(&n, n.bits);
		return network_print(&n, out, cap);
	}
	if (strchr(word, '/') != NULL || strchr(word, ' ') != NULL)
		return -1;
	if (strchr(word, '@') != NULL)
		return address_parse(word, strlen(word), &a) == -1 ||
			       address_fold_key(&a, out, cap) == -1
			   ? -1
			   : 0;
	if (address_domain_ascii(word, domain, sizeof(domain)) == -1 || domain[0] == '[')
		return -1;
	return strlcpy(out, domain, cap) < cap ? 0 : -1;
}

int
access_network(const char *client, char *out, size_t cap)
{
	struct network n;

	if (network_parse(client, &n) == -1)
		return -1;
	network_cut(&n, n.family == AF_INET ? 32 : 64);
	return network_print(&n, out, cap);
}

int
access_is_loopback(const char *client)
{
	static const unsigned char one[16] = { [15] = 1 };
	struct network n;

	return network_parse(client, &n) == 0 &&
	       (n.family == AF_INET ? n.bytes[0] == 127 : memcmp(n.bytes, one, 16) == 0);
}

static void
count(enum access_kind kind, const char *subject, int by)
{
	struct network n;

	if (network_parse(subject, &n) == 0)
		prefixes[kind][n.family == AF_INET6][n.bits] += (uint32_t)by;
	else
		n_senders += (uint32_t)by;
}

static int
key_of(enum access_kind kind, const char *subject, char *key, size_t cap)
{
	int n = snprintf(key, cap, "%s %s", words[kind], subject);

	return n < 0 || (size_t)n >= cap ? -1 : 0;
}

int
access_value(const char *text, int64_t *until, char *reason, size_t cap)
{
	char number[24] = "";
	const char *bad = NULL, *end = strchr(text, '\n'), *r;

	*until = 0;
	reason[0] = '\0';
	if (strncmp(text, "until=", 6) != 0 || end == NULL ||
	    (size_t)(end - text - 6) >= sizeof(number))
		return -1;
	memcpy(number, text + 6, (size_t)(end - text - 6));
	*until = strtonum(number, 0, INT64_MAX, &bad);
	r = end + 1;
	if (bad != NULL || strncmp(r, "reason=", 7) != 0)
		return -1;
	strlcpy(reason, r + 7, cap);
	reason[strcspn(reason, "\n")] = '\0';
	return 0;
}

enum dir_status
access_put(struct directory *d, enum access_kind kind, const char *subject, int64_t until,
    const char *reason)
{
	char key[ACCESS_KEY_MAX], value[VALUE_MAX];
	enum dir_status had, st;

	if (key_of(kind, subject, key, sizeof(key)) == -1 || strlen(reason) > 300 ||
	    strchr(reason, '\n') != NULL)
		return DIR_BAD;
	snprintf(
	    value, sizeof(value), "until=%lld\nreason=%s\n", (long long)until, reason);
	had = directory_access_get(d, key, NULL, 0);
	st = directory_access_put(d, key, value);
	if (st == DIR_OK && had == DIR_NONE)
		count(kind, subject, 1);
	return st;
}

enum dir_status
access_del(struct directory *d, enum access_kind kind, const char *subject)
{
	char key[ACCESS_KEY_MAX];
	enum dir_status st;

	if (key_of(kind, subject, key, sizeof(key)) == -1)
		return DIR_NONE;
	if ((st = directory_access_del(d, key)) == DIR_OK)
		count(kind, subject, -1);
	return st;
}

enum dir_status
access_open(struct directory *d, int64_t now)
{
	char key[512] = "", value[VALUE_MAX], reason[301];
	enum dir_status st;
	int64_t until;

	memset(prefixes, 0, sizeof(prefixes));
	n_senders = 0;
	while ((st = directory_next(
		    d, DIR_ACCESS, key, sizeof(key), value, sizeof(value))) == DIR_OK) {
		char *subject = strchr(key, ' ');
		enum access_kind kind;

		if (subject == NULL)
			continue;
		*subject = '\0';
		kind = access_kind_of(key);
		*subject++ = ' ';
		if (kind == ACCESS_NONE)
			continue;
		if (access_value(value, &until, reason, sizeof(reason)) == 0 &&
		    until != 0 && until <= now)
			(void)directory_access_del(d, key);
		else
			count(kind, subject, 1);
	}
	return st == DIR_NONE ? DIR_OK : st;
}

/* 1: such an entry is there and in force. One that is over goes. */
static int
in_force(struct directory *d, enum access_kind kind, const char *subject, int64_t now)
{
	char key[ACCESS_KEY_MAX], value[VALUE_MAX], reason[301];
	int64_t until;

	if (key_of(kind, subject, key, sizeof(key)) == -1 ||
	    directory_access_get(d, key, value, sizeof(value)) != DIR_OK)
		return 0;
	if (access_value(value, &until, reason, sizeof(reason)) == 0 && until != 0 &&
	    until <= now) {
		(void)access_del(d, kind, subject);
		return 0;
	}
	return 1;
}

enum access_kind
access_client(
    struct directory *d, const char *client, int64_t now, char *subject, size_t cap)
{
	struct network n;

	subject[0] = '\0';
	if (network_parse(client, &n) == -1)
		return ACCESS_NONE;
	for (int bits = (int)bits_max(n.family); bits >= 0; bits--)
		for (int kind = ACCESS_ALLOW; kind < LISTED; kind++) {
			if (prefixes[kind][n.family == AF_INET6][bits] == 0)
				continue;
			network_cut(&n, (unsigned int)bits);
			if (network_print(&n, subject, cap) == 0 &&
			    in_force(d, (enum access_kind)kind, subject, now))
				return (enum access_kind)kind;
		}
	return ACCESS_NONE;
}

enum access_kind
access_sender(struct directory *d, const char *sender, char *subject, size_t cap)
{
	const char *p, *next;

	subject[0] = '\0';
	if (n_senders == 0 || access_subject(sender, subject, cap) == -1 ||
	    strchr(subject, '@') == NULL)
		return ACCESS_NONE;
	/* The address, its domain, and each domain above. */
	for (p = subject; p != NULL; p = next) {
		for (int kind = ACCESS_ALLOW; kind <= ACCESS_DENY; kind++)
			if (in_force(d, (enum access_kind)kind, p, 0)) {
				memmove(subject, p, strlen(p) + 1);
				return (enum access_kind)kind;
			}
		next = p == subject ? strrchr(p, '@') : strchr(p, '.');
		if (next != NULL)
			next++;
	}
	return ACCESS_NONE;
}

/* An address is narrower than its domain, and that than those above it. */
static int
fits_sender(const char *subject, const char *sender)
{
	size_t len = strlen(subject), whole = strlen(sender);
	const char *tail;

	if (len == 0 || len > whole)
		return 0;
	tail = sender + whole - len;
	if (strcmp(tail, subject) != 0)
		return 0;
	if (tail == sender)
		return (int)len;
	return strchr(subject, '@') == NULL && (tail[-1] == '@' || tail[-1] == '.')
		   ? (int)len
		   : 0;
}

int
access_fit(const char *subject, const char *client, const char *sender)
{
	struct network n, c;

	if (network_parse(subject, &n) == -1)
		return fits_sender(subject, sender);
	if (network_parse(client, &c) == -1 || c.family != n.family)
		return 0;
	network_cut(&c, n.bits);
	return memcmp(c.bytes, n.bytes, sizeof(c.bytes)) == 0
		   ? ACCESS_KEY_MAX + 1 + (int)n.bits
		   : 0;
}
