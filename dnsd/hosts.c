/* SPDX-License-Identifier: ISC */
/* From a domain to hosts and addresses; see hosts.h. */
#include "dnsd/hosts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"
#include "dnsd/resolve.h"
#include "dnsd/sts.h"

#define MX_CONSIDERED_MAX 100

/* What was found of one family, before both are merged. */
struct family {
	size_t n;
	struct dnsaddr addrs[DNSHOSTS_ADDRS_MAX];
	enum dns_status status;
	int secure;
	char canonical[256];
};

struct find;
struct half {
	struct find *find;
	uint8_t host;
	uint8_t v6;
};

struct find {
	hosts_cb cb;
	void *arg;
	char self[256];
	int from_mx;
	int implicit; /* no MX: the domain's own addresses */
	int loop;
	int secure;
	unsigned int pending;
	size_t n_hosts;
	struct dnshost hosts[DNSHOSTS_MAX];
	struct family found[DNSHOSTS_MAX][2]; /* IPv4, IPv6 */
	struct half halves[DNSHOSTS_MAX][2];
	char text[256];
	/* what came of the hosts, until the policy is there */
	enum dns_status status;
	struct sts_find *sts; /* NULL: not asked, or there already */
	int done;
	struct msg_sts_policy policy;
};

struct mx {
	uint16_t preference;
	char name[DNSRR_NAME_MAX + 1];
};

static int
by_preference(const void *a, const void *b)
{
	const struct mx *x = a, *y = b;

	return (int)x->preference - (int)y->preference;
}

size_t
hosts_from_mx(const struct wire_answer *w, const char *self, uint32_t (*random)(uint32_t),
    struct dnshost hosts[DNSHOSTS_MAX], int *null_mx, int *loop)
{
	static struct mx list[MX_CONSIDERED_MAX];
	struct dnsrr rr;
	size_t off = 0, n = 0, out = 0;
	unsigned int roots = 0, others = 0;
	uint32_t cut = UINT32_MAX;

	*null_mx = *loop = 0;
	while (n < MX_CONSIDERED_MAX && dnsrr_next(w->records, w->len, &off, &rr) == 1) {
		uint16_t nums[3];

		if (rr.type != DNSRR_MX || dnsrr_name(&rr, list[n].name, nums) == -1)
			continue;
		if (strcmp(list[n].name, ".") == 0) {
			roots++;
			continue;
		}
		others++;
		if (!address_domain_valid_loose(list[n].name, strlen(list[n].name)))
			continue;
		list[n].preference = nums[0];
		if (strcasecmp(list[n].name, self) == 0 && nums[0] < cut)
			cut = nums[0];
		n++;
	}
	/* RFC 7505, 3: only where it stands alone. */
	if (roots > 0 && others == 0) {
		*null_mx = 1;
		return 0;
	}
	for (size_t i = n; i > 1; i--) {
		size_t j = random((uint32_t)i);
		struct mx t = list[i - 1];

		list[i - 1] = list[j];
		list[j] = t;
	}
	/* Stable after the shuffle, which qsort(3) does not promise. */
	for (size_t i = 1; i < n; i++) {
		struct mx t = list[i];
		size_t j = i;

		for (; j > 0 && by_preference(&list[j - 1], &t) > 0; j--)
			list[j] = list[j - 1];
		list[j] = t;
	}
	for (size_t i = 0; i < n && out < DNSHOSTS_MAX; i++) {
		size_t k;

		if (list[i].preference >= cut) {
			*loop = 1;
			break;
		}
		for (k = 0; k < out && strcmp(hosts[k].name, list[i].name) != 0; k++)
			;
		if (k < out)
			continue;
		memset(&hosts[out], 0, sizeof(hosts[out]));
		hosts[out].preference = list[i].preference;
		strlcpy(hosts[out].name, list[i].name, sizeof(hosts[out].name));
		out++;
	}
	return out;
}

static void
answer(struct find *f)
{
	static uint8_t blob[DNSRR_BLOB_MAX];
	struct msg_dns_hosts_are m = { .status = (uint8_t)f->status };
	enum dns_status status = f->status;
	size_t len = 0;

	m.from_mx = f->from_mx != 0;
	m.secure = f->secure != 0;
	m.sts_mode = f->policy.mode;
	strlcpy(m.sts_mx, f->policy.mx, sizeof(m.sts_mx));
	strlcpy(m.sts_text, f->policy.text, sizeof(m.sts_text));
	strlcpy(m.text, f->text, sizeof(m.text));
	for (size_t i = 0; status == DNS_OK && i < f->n_hosts; i++)
		if (f->hosts[i].n_addrs > 0 &&
		    dnshosts_add(blob, sizeof(blob), &len, &f->hosts[i]) == 0)
			m.count++;
	m.hosts = blob;
	m.hosts_len = len;
	f->cb(&m, f->arg);
	free(f);
}

static void
finish(struct find *f, enum dns_status status, const char *text)
{
	f->status = status;
	/* It may be f->text itself. */
	memmove(f->text, text, strlen(text) + 1);
	f->done = 1;
	if (f->sts == NULL)
		answer(f);
	else if (status != DNS_OK) {
		sts_cancel(f->sts); /* no host, no need */
		answer(f);
	}
}

static void
got_policy(const struct msg_sts_policy *p, void *arg)
{
	struct find *f = arg;

	f->policy = *p;
	f->sts = NULL;
	if (f->done)
		answer(f);
}

/* IPv6 and IPv4 by turns: one dead family then costs one time-out, not all. */
static void
merge(struct dnshost *h, const struct family found[2])
{
	size_t at[2] = { 0, 0 };
	int v6 = 1;

	while (h->n_addrs < DNSHOSTS_ADDRS_MAX &&
	       (at[0] < found[0].n || at[1] < found[1].n)) {
		if (at[v6] < found[v6].n)
			h->addrs[h->n_addrs++] = found[v6].addrs[at[v6]++];
		v6 = !v6;
	}
	/* RFC 7672, 2.2.3: where the aliases end, if both families say the same. */
	for (int v = 0; v < 2; v++)
		if (found[v].n > 0 && h->canonical[0] == '\0' &&
		    strcasecmp(found[v].canonical, h->name) != 0)
			strlcpy(h->canonical, found[v].canonical, sizeof(h->canonical));
	h->secure =
	    (found[0].n == 0 || found[0].secure) && (found[1].n == 0 || found[1].secure);
}

static void
all_found(struct find *f)
{
	unsigned int with = 0, temp = 0, bogus = 0, nx = 0;

	for (size_t i = 0; i < f->n_hosts; i++) {
		merge(&f->hosts[i], f->found[i]);
		with += f->hosts[i].n_addrs > 0;
		for (int v = 0; v < 2; v++) {
			temp += f->found[i][v].status == DNS_TEMP;
			bogus += f->found[i][v].status == DNS_BOGUS;
			nx += f->found[i][v].status == DNS_NXDOMAIN;
		}
	}
	if (with > 0)
		finish(f, DNS_OK, "");
	else if (temp > 0)
		finish(f, DNS_TEMP, f->text);
	else if (bogus > 0)
		finish(f, DNS_BOGUS, f->text);
	else if (nx > 0 && !f->from_mx)
		finish(f, DNS_NXDOMAIN, "");
	else if (f->loop)
		finish(f, DNS_OK, "mail loops back to myself");
	else
		finish(f, DNS_NODATA,
		    f->from_mx ? "no mail exchanger has an address" : "no address");
}

static void
got_addresses(const struct resolve_answer *a, void *arg)
{
	struct half *h = arg;
	struct find *f = h->find;
	struct family *fam = &f->found[h->host][h->v6];
	struct dnsrr rr;
	size_t off = 0;

	fam->status = a->status;
	fam->secure = a->secure;
	if (a->text[0] != '\0')
		strlcpy(f->text, a->text, sizeof(f->text));
	if (a->status == DNS_OK)
		strlcpy(fam->canonical, a->wire->canonical, sizeof(fam->canonical));
	while (a->status == DNS_OK && fam->n < DNSHOSTS_ADDRS_MAX &&
	       dnsrr_next(a->wire->records, a->wire->len, &off, &rr) == 1) {
		struct dnsaddr *d = &fam->addrs[fam->n++];

		d->family = h->v6 ? AF_INET6 : AF_INET;
		memcpy(d->ip, rr.data, rr.len <= sizeof(d->ip) ? rr.len : sizeof(d->ip));
	}
	if (--f->pending == 0)
		all_found(f);
}

static void
find_addresses(struct find *f)
{
	f->pending = 1;
	for (size_t i = 0; i < f->n_hosts; i++)
		for (int v = 0; v < 2; v++) {
			f->halves[i][v] = (struct half){ f, (uint8_t)i, (uint8_t)v };
			f->found[i][v].status = DNS_TEMP;
			if (resolve_lookup(f->hosts[i].name, v ? DNSRR_AAAA : DNSRR_A,
				got_addresses, &f->halves[i][v]) == 0)
				f->pending++;
			else
				strlcpy(f->text, "out of memory", sizeof(f->text));
		}
	if (--f->pending == 0)
		all_found(f);
}

static void
only_host(struct find *f, const char *name)
{
	f->from_mx = 0;
	f->n_hosts = 1;
	strlcpy(f->hosts[0].name, name, sizeof(f->hosts[0].name));
	find_addresses(f);
}

static void
got_mx(const struct resolve_answer *a, void *arg)
{
	struct find *f = arg;
	char name[256];
	int null_mx;

	f->secure = a->secure;
	switch (a->status) {
	case DNS_OK:
		f->from_mx = 1;
		f->n_hosts = hosts_from_mx(
		    a->wire, f->self, arc4random_uniform, f->hosts, &null_mx, &f->loop);
		if (null_mx)
			finish(f, DNS_NULL_MX, "the domain accepts no mail");
		else if (f->n_hosts == 0 && f->loop)
			finish(f, DNS_OK, "mail loops back to myself");
		else if (f->n_hosts == 0)
			finish(f, DNS_NODATA, "no usable mail exchanger");
		else
			find_addresses(f);
		break;
	case DNS_NODATA:
		/* The implicit MX is the name at the end of the CNAMEs. */
		strlcpy(name, f->hosts[0].name, sizeof(name));
		if (strcasecmp(name, f->self) == 0)
			finish(f, DNS_OK, "mail loops back to myself");
		else
			only_host(f, name);
		break;
	default:
		finish(f, a->status, a->text);
	}
}

int
hosts_find(const char *domain, int mx, int sts, const char *self, hosts_cb cb, void *arg)
{
	struct find *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	f->cb = cb;
	f->arg = arg;
	strlcpy(f->self, self, sizeof(f->self));
	if (address_domain_ascii(domain, f->hosts[0].name, sizeof(f->hosts[0].name)) ==
	    -1)
		strlcpy(f->hosts[0].name, domain, sizeof(f->hosts[0].name));
	if (mx) {
		if (sts)
			f->sts = sts_find(f->hosts[0].name, got_policy, f);
		if (resolve_lookup(f->hosts[0].name, DNSRR_MX, got_mx, f) == 0)
			return 0;
		sts_cancel(f->sts);
		free(f);
		return -1;
	}
	f->n_hosts = 1;
	f->halves[0][0] = (struct half){ f, 0, 0 };
	f->halves[0][1] = (struct half){ f, 0, 1 };
	f->found[0][0].status = f->found[0][1].status = DNS_TEMP;
	if (resolve_lookup(f->hosts[0].name, DNSRR_A, got_addresses, &f->halves[0][0]) ==
	    -1) {
		free(f);
		return -1;
	}
	f->pending = 1;
	if (resolve_lookup(
		f->hosts[0].name, DNSRR_AAAA, got_addresses, &f->halves[0][1]) == 0)
		f->pending++;
	return 0;
}
