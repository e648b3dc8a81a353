/*
 * Records of the journal, to and from bytes. Hostile only by bit rot, but
 * decoded as strictly as anything from outside.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "common/crc32c.h"
#include "queued/record.h"

uint32_t
rec_seed(uint64_t generation, uint64_t seq, uint32_t off)
{
	uint8_t b[20];
	struct bytes_out o = { .p = b, .cap = sizeof(b) };

	bytes_put_int(&o, generation, 8);
	bytes_put_int(&o, seq, 8);
	bytes_put_int(&o, off, 4);
	return crc32c(0, b, sizeof(b));
}

void
rec_seal(uint8_t *rec, const struct rec_header *h, uint32_t seed)
{
	struct bytes_out o = { .p = rec, .cap = REC_HEADER };
	uint32_t crc;

	memset(rec + h->len, 0, REC_PAD(h->len) - h->len);
	bytes_put_int(&o, REC_MAGIC, 4);
	bytes_put_int(&o, 0, 4);
	bytes_put_int(&o, h->len, 4);
	bytes_put_int(&o, h->type, 1);
	bytes_put_int(&o, h->flags, 1);
	bytes_put_int(&o, 0, 2);
	bytes_put_int(&o, h->epoch, 4);
	bytes_put_int(&o, h->synced, 4);
	bytes_put_int(&o, h->id, 8);
	crc = crc32c(seed, rec + 8, h->len - 8);
	o.len = 4;
	bytes_put_int(&o, crc, 4);
}

int
rec_check(const uint8_t *rec, size_t avail, uint32_t seed, struct rec_header *h)
{
	struct bytes_in in = { .p = rec, .len = REC_HEADER };
	uint32_t magic, crc;

	if (avail < REC_HEADER)
		return 0;
	magic = (uint32_t)bytes_get_int(&in, 4);
	crc = (uint32_t)bytes_get_int(&in, 4);
	h->len = (uint32_t)bytes_get_int(&in, 4);
	h->type = (uint8_t)bytes_get_int(&in, 1);
	h->flags = (uint8_t)bytes_get_int(&in, 1);
	bytes_get_int(&in, 2);
	h->epoch = (uint32_t)bytes_get_int(&in, 4);
	h->synced = (uint32_t)bytes_get_int(&in, 4);
	h->id = bytes_get_int(&in, 8);
	if (magic == 0 && crc == 0 && h->len == 0)
		return 0;
	if (magic != REC_MAGIC || h->len < REC_HEADER || h->len > REC_LEN_MAX ||
	    REC_PAD(h->len) > avail)
		return -1;
	return crc32c(seed, rec + 8, h->len - 8) == crc ? 1 : -1;
}

void
rec_rcpt_encode(const struct rec_rcpt *r, struct bytes_out *o)
{
	bytes_put_int(o, r->num, 4);
	bytes_put_int(o, r->state, 1);
	bytes_put_int(o, r->notify, 1);
	bytes_put_int(o, r->attempts, 2);
	bytes_put_int(o, (uint64_t)r->next, 8);
	bytes_put_int(o, r->has, 1);
	if (r->has & REC_R_ADDRESS) {
		bytes_put_str(o, r->address);
		bytes_put_str(o, r->orcpt);
	}
	if (r->has & REC_R_RRVS) {
		bytes_put_int(o, (uint64_t)r->rrvs, 8);
		bytes_put_int(o, r->rrvs_action, 1);
	}
	if (r->has & REC_R_RESULT) {
		bytes_put_str(o, r->enhanced);
		bytes_put_str(o, r->mta);
		bytes_put_str(o, r->text);
	}
}

int
rec_rcpt_next(struct bytes_in *in, struct rec_rcpt *r)
{
	if (in->bad)
		return -1;
	if (in->len == 0)
		return 0;
	memset(r, 0, sizeof(*r));
	r->address = r->orcpt = r->enhanced = r->mta = r->text = "";
	r->num = (uint32_t)bytes_get_int(in, 4);
	r->state = (uint8_t)bytes_get_int(in, 1);
	r->notify = (uint8_t)bytes_get_int(in, 1);
	r->attempts = (uint16_t)bytes_get_int(in, 2);
	r->next = (int64_t)bytes_get_int(in, 8);
	r->has = (uint8_t)bytes_get_int(in, 1);
	if (r->has & REC_R_ADDRESS) {
		r->address = bytes_get_str(in, 320);
		r->orcpt = bytes_get_str(in, 500);
	}
	if (r->has & REC_R_RRVS) {
		r->rrvs = (int64_t)bytes_get_int(in, 8);
		r->rrvs_action = (uint8_t)bytes_get_int(in, 1);
		if ((r->rrvs_action != 'R' && r->rrvs_action != 'C') ||
		    !(r->has & REC_R_ADDRESS))
			in->bad = 1;
	}
	if (r->has & REC_R_RESULT) {
		r->enhanced = bytes_get_str(in, 15);
		r->mta = bytes_get_str(in, 255);
		r->text = bytes_get_str(in, 1600);
	}
	if (in->bad || r->num >= REC_RCPTS_MAX || r->state < RCPT_LIVE ||
	    r->state > RCPT_REMOVED ||
	    (r->has & ~(REC_R_ADDRESS | REC_R_RESULT | REC_R_RRVS)) != 0) {
		in->bad = 1;
		return -1;
	}
	return 1;
}

/* A list is its length in octets, a count, and the recipients. */
static int
rcpts_decode(struct bytes_in *in, uint32_t *n, struct bytes_in *list)
{
	struct bytes_in walk;
	struct rec_rcpt r;
	uint32_t len, count = 0;
	int rv;

	*n = (uint32_t)bytes_get_int(in, 4);
	len = (uint32_t)bytes_get_int(in, 4);
	list->p = bytes_get(in, len);
	list->len = len;
	list->bad = in->bad;
	if (in->bad || *n > REC_RCPTS_MAX)
		return -1;
	walk = *list;
	while ((rv = rec_rcpt_next(&walk, &r)) == 1)
		count++;
	return rv == -1 || count != *n ? -1 : 0;
}

static void
rcpts_encode(uint32_t n, const struct bytes_in *list, struct bytes_out *o)
{
	bytes_put_int(o, n, 4);
	bytes_put_int(o, list->len, 4);
	bytes_put(o, list->p, list->len);
}

void
rec_message_encode(const struct rec_message *m, struct bytes_out *o)
{
	int extended = !rec_ext_is_empty(&m->ext);

	bytes_put_int(o, (uint64_t)m->created, 8);
	bytes_put_int(o, m->size, 8);
	bytes_put_int(o, m->crc, 4);
	bytes_put_int(o, (m->flags & QM_ON_DISK) | (extended ? QM_EXTENDED : 0), 4);
	bytes_put_int(o, m->body, 1);
	bytes_put_int(o, m->ret, 1);
	bytes_put_int(o, m->login, 8);
	bytes_put_str(o, m->sender);
	bytes_put_str(o, m->client);
	bytes_put_str(o, m->helo);
	bytes_put_str(o, m->login_address);
	bytes_put_str(o, m->envid);
	bytes_put_str(o, m->reason);
	if (extended)
		rec_ext_encode(&m->ext, o);
	bytes_put_int(o, m->prefix_len, 4);
	bytes_put(o, m->prefix, m->prefix_len);
	rcpts_encode(m->nrcpt, &m->rcpts, o);
}

int
rec_message_decode(const uint8_t *body, size_t len, struct rec_message *m)
{
	struct bytes_in in = { .p = body, .len = len };
	int extended;

	memset(m, 0, sizeof(*m));
	m->created = (int64_t)bytes_get_int(&in, 8);
	m->size = bytes_get_int(&in, 8);
	m->crc = (uint32_t)bytes_get_int(&in, 4);
	m->flags = (uint32_t)bytes_get_int(&in, 4);
	extended = (m->flags & QM_EXTENDED) != 0;
	m->flags &= ~(uint32_t)QM_EXTENDED;
	m->body = (uint8_t)bytes_get_int(&in, 1);
	m->ret = (uint8_t)bytes_get_int(&in, 1);
	m->login = bytes_get_int(&in, 8);
	m->sender = bytes_get_str(&in, 320);
	m->client = bytes_get_str(&in, 63);
	m->helo = bytes_get_str(&in, 255);
	m->login_address = bytes_get_str(&in, 320);
	m->envid = bytes_get_str(&in, 100);
	m->reason = bytes_get_str(&in, 255);
	if (extended && rec_ext_decode(&in, &m->ext) == -1)
		return -1;
	m->prefix_len = (size_t)bytes_get_int(&in, 4);
	m->prefix = bytes_get(&in, m->prefix_len);
	if (in.bad || (m->flags & ~(uint32_t)QM_ON_DISK) != 0)
		return -1;
	if (rcpts_decode(&in, &m->nrcpt, &m->rcpts) == -1)
		return -1;
	if (m->flags & QM_FILE)
		return in.len == 0 ? 0 : -1;
	if (in.len != m->size)
		return -1;
	m->content = in.p;
	return 0;
}

void
rec_state_encode(const struct rec_state *s, struct bytes_out *o)
{
	bytes_put_int(o, s->flags & QM_ON_DISK, 4);
	rcpts_encode(s->nrcpt, &s->rcpts, o);
}

int
rec_state_decode(const uint8_t *body, size_t len, struct rec_state *s)
{
	struct bytes_in in = { .p = body, .len = len };

	s->flags = (uint32_t)bytes_get_int(&in, 4);
	if (in.bad || (s->flags & ~(uint32_t)QM_ON_DISK) != 0)
		return -1;
	if (rcpts_decode(&in, &s->nrcpt, &s->rcpts) == -1 || in.len != 0)
		return -1;
	return 0;
}

void
rec_removed_encode(const struct rec_removed *r, struct bytes_out *o)
{
	bytes_put_int(o, r->seq, 8);
}

int
rec_removed_decode(const uint8_t *body, size_t len, struct rec_removed *r)
{
	struct bytes_in in = { .p = body, .len = len };

	r->seq = bytes_get_int(&in, 8);
	return in.bad || in.len != 0 ? -1 : 0;
}

void
rec_global_encode(const struct rec_global *g, struct bytes_out *o)
{
	bytes_put_int(o, g->reserved, 8);
	bytes_put_int(o, g->hold, 1);
	bytes_put_int(o, g->prev_seq, 8);
	bytes_put_int(o, g->prev_end, 4);
}

int
rec_global_decode(const uint8_t *body, size_t len, struct rec_global *g)
{
	struct bytes_in in = { .p = body, .len = len };

	g->reserved = bytes_get_int(&in, 8);
	g->hold = (uint8_t)bytes_get_int(&in, 1);
	g->prev_seq = bytes_get_int(&in, 8);
	g->prev_end = (uint32_t)bytes_get_int(&in, 4);
	return in.bad || in.len != 0 ? -1 : 0;
}
