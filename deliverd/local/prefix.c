/* SPDX-License-Identifier: ISC */
/* The fields of final delivery and the search for loops; see prefix.h. */
#include "deliverd/local/prefix.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"
#include "common/proto/header.h"

#define READ_STEP (16 * 1024)

/* Nothing of an address may end the line that it stands in. */
static void
copy_clean(char *out, size_t cap, const char *s)
{
	strlcpy(out, s, cap);
	for (char *p = out; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

static int
address_of(const char *s, struct address *a)
{
	const char *at = strrchr(s, '@');

	if (address_parse(s, strlen(s), a) == 0)
		return 0;
	if (at == NULL || at == s || (size_t)(at - s) >= sizeof(a->local) ||
	    strlen(at + 1) >= sizeof(a->domain))
		return -1;
	memcpy(a->local, s, (size_t)(at - s));
	a->local[at - s] = '\0';
	strlcpy(a->domain, at + 1, sizeof(a->domain));
	return 0;
}

void
prefix_address(const char *s, char *out, size_t cap)
{
	struct address a;

	if (address_of(s, &a) == -1 || address_format(&a, out, cap) == -1)
		strlcpy(out, s, cap);
}

/* Octets of whole fields at the start of rest that fit room. */
static size_t
whole_fields(const uint8_t *rest, size_t len, size_t room)
{
	size_t end = 0;

	if (len > 0 && (rest[0] == ' ' || rest[0] == '\t'))
		return 0; /* it would go on with our last line */
	if (len <= room)
		return len;
	for (size_t i = 0; i < room; i++)
		if (rest[i] == '\n' && rest[i + 1] != ' ' && rest[i + 1] != '\t')
			end = i + 1;
	return end;
}

size_t
prefix_build(uint8_t *buf, size_t cap, const char *sender, const char *address,
    const uint8_t *rest, size_t rest_len)
{
	char from[ADDRESS_MAX + 1], to[ADDRESS_MAX + 1];
	int n;
	size_t len;

	copy_clean(from, sizeof(from), sender);
	copy_clean(to, sizeof(to), address);
	n = snprintf(
	    (char *)buf, cap, "Return-Path: <%s>\r\nDelivered-To: %s\r\n", from, to);
	if (n < 0 || (size_t)n >= cap)
		return 0;
	len = whole_fields(rest, rest_len, cap - (size_t)n);
	if (len > 0)
		memcpy(buf + n, rest, len);
	return (size_t)n + len;
}

static int
add_field(struct delivered_to *d, const struct header_field *f)
{
	char value[ADDRESS_MAX + 16], key[ADDRESS_MAX + 1], *p = value, **keys;
	struct address a;
	size_t len;

	if (!header_name_is(f, "Delivered-To"))
		return 0;
	len = header_unfold(f->value, f->value_len, value, sizeof(value));
	if (len > 1 && value[0] == '<' && value[len - 1] == '>') {
		value[--len] = '\0';
		p++;
		len--;
	}
	/* Others write what they like into it; ours can be read. */
	if (address_parse(p, len, &a) == -1 ||
	    address_fold_key(&a, key, sizeof(key)) == -1)
		return 0;
	if (d->n == PREFIX_DELIVERED_TO_MAX) {
		d->too_many = 1;
		return 0;
	}
	if ((keys = reallocarray(d->keys, d->n + 1, sizeof(*keys))) == NULL)
		return -1;
	d->keys = keys;
	if ((d->keys[d->n] = strdup(key)) == NULL)
		return -1;
	d->n++;
	return 0;
}

/* Take the complete fields; *more: the buffer ended before the section did. */
static int
scan_fields(struct delivered_to *d, struct header_scan *s, int *more)
{
	struct header_field f;
	enum header_result r;

	while ((r = header_next(s, &f)) == HEADER_FIELD)
		if (add_field(d, &f) == -1)
			return -1;
	*more = r == HEADER_MORE;
	return 0;
}

int
delivered_to_parse(struct delivered_to *d, const char *buf, size_t len)
{
	struct header_scan s;
	int more;

	memset(d, 0, sizeof(*d));
	if (len > PREFIX_HEADER_MAX)
		len = PREFIX_HEADER_MAX;
	header_scan_init(&s, buf, len, true);
	return scan_fields(d, &s, &more);
}

int
delivered_to_read(struct delivered_to *d, int fd, uint64_t size)
{
	static char buf[PREFIX_HEADER_MAX]; /* one thread */
	size_t len = 0, end = size < sizeof(buf) ? (size_t)size : sizeof(buf);
	struct header_scan s;
	int more = 1;

	memset(d, 0, sizeof(*d));
	header_scan_init(&s, buf, 0, false);
	while (more && len < end) {
		size_t want = end - len < READ_STEP ? end - len : READ_STEP;
		ssize_t n = pread(fd, buf + len, want, (off_t)len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0) {
			errno = EIO; /* shorter than the queue says */
			return -1;
		}
		len += (size_t)n;
		header_scan_extend(&s, buf, len, len == end);
		if (scan_fields(d, &s, &more) == -1) {
			errno = ENOMEM;
			return -1;
		}
	}
	return 0;
}

int
delivered_to_has(const struct delivered_to *d, const char *address)
{
	char key[ADDRESS_MAX + 1];
	struct address a;

	if (d->too_many)
		return 1;
	if (address_of(address, &a) == -1 || address_fold_key(&a, key, sizeof(key)) == -1)
		return 0;
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->keys[i], key) == 0)
			return 1;
	return 0;
}

int
delivered_to_loop(
    struct delivered_to *d, int fd, uint64_t size, const char *address, struct outcome *o)
{
	if (!d->looked) {
		if (delivered_to_read(d, fd, size) == -1) {
			outcome_set(o, JOB_DEFERRED, "4.3.0",
			    "the message cannot be read: %s", strerror(errno));
			delivered_to_clear(d);
			return 1;
		}
		d->looked = 1;
	}
	if (!delivered_to_has(d, address))
		return 0;
	outcome_set(o, JOB_FAILED, "5.4.6",
	    "mail loop: the message has been delivered to %s before", address);
	return 1;
}

void
delivered_to_clear(struct delivered_to *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->keys[i]);
	free(d->keys);
	memset(d, 0, sizeof(*d));
}
