/*
 * The spool's housekeeping: checkpoints, segments to recycle, and segments with
 * little left in them, which is copied forward.
 *
 * A segment is recycled when nothing in the index refers to it, and when the
 * checkpoint was written since, so that it does not refer to it either. A REC_REMOVED
 * in it must outlive the removed message's record: as long as that one's segment
 * exists, the removal is carried forward, or a replay of the whole journal
 * would bring the message back.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "queued/spool_private.h"
#include "queued/sys.h"

#define CHECKPOINT_DIRTY 20000
#define CHECKPOINT_MS (5 * 60 * 1000)
#define CHECKPOINT_RETRY_MS (10 * 1000)
#define CLEAN_STEP (512 * 1024)
#define CLEAN_LIVE 3 /* copy forward what is less than a third alive */
#define RECYCLE_MAX 16

void
spool_note_tomb(struct spool *sp, uint32_t target)
{
	uint32_t seg = journal_position(sp->j).seg;

	for (size_t i = sp->ntombs; i > 0 && sp->ntombs - i < 32; i--) {
		if (sp->tombs[i - 1].seg == seg && sp->tombs[i - 1].target == target)
			return;
	}
	if (sp->ntombs == sp->tombs_cap) {
		size_t cap = sp->tombs_cap == 0 ? 64 : sp->tombs_cap * 2;
		struct tomb *n = reallocarray(sp->tombs, cap, sizeof(*n));

		if (n == NULL) {
			/* Then this segment is read when its time comes. */
			sp->tombs_known = seg + 1;
			return;
		}
		sp->tombs = n;
		sp->tombs_cap = cap;
	}
	sp->tombs[sp->ntombs++] = (struct tomb){ seg, target };
}

static void
tombs_drop(struct spool *sp, uint32_t seg)
{
	size_t n = 0;

	for (size_t i = 0; i < sp->ntombs; i++) {
		if (sp->tombs[i].seg != seg && journal_exists(sp->j, sp->tombs[i].target))
			sp->tombs[n++] = sp->tombs[i];
	}
	sp->ntombs = n;
}

static int
has_tombs(const struct spool *sp, uint32_t seg)
{
	if (seg < sp->tombs_known)
		return 1;
	for (size_t i = 0; i < sp->ntombs; i++) {
		if (sp->tombs[i].seg == seg && sp->tombs[i].target != seg &&
		    journal_exists(sp->j, sp->tombs[i].target))
			return 1;
	}
	return 0;
}

static int
carry_tomb(struct loc at, const struct rec_header *h, const uint8_t *body, void *arg)
{
	struct spool *sp = arg;
	struct rec_removed r;
	uint32_t len = h->len - REC_HEADER;
	uint8_t *out;

	if (h->type != REC_REMOVED || rec_removed_decode(body, len, &r) == -1 ||
	    r.seq == at.seg || !journal_exists(sp->j, (uint32_t)r.seq))
		return 0;
	if (journal_room(sp->j, REC_PAD(h->len), 1) == -1)
		return -1;
	out = journal_body(sp->j, REC_REMOVED, 0, h->id, len);
	if (out == NULL)
		return -1;
	memcpy(out, body, len);
	spool_note_tomb(sp, (uint32_t)r.seq);
	journal_put(sp->j);
	return 0;
}

static void
recycle(struct spool *sp)
{
	struct journal_segment s;
	uint32_t seqs[RECYCLE_MAX];
	size_t n = 0;
	int carried = 0;

	for (size_t i = 0; n < RECYCLE_MAX && journal_segment_at(sp->j, i, &s); i++) {
		/* What the index does not refer to now, the checkpoint just
		 * written does not either. */
		if (s.open && s.refs == 0 && s.seq < sp->ckpt_at.seg)
			seqs[n++] = s.seq;
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t off = JOURNAL_FIRST;

		if (!has_tombs(sp, seqs[i]))
			continue;
		if (journal_scan(sp->j, seqs[i], &off, UINT32_MAX, carry_tomb, sp) != 1)
			return;
		carried = 1;
	}
	if (carried && journal_sync(sp->j) == -1)
		return;
	for (size_t i = 0; i < n; i++) {
		if (journal_recycle(sp->j, seqs[i]) == -1)
			continue;
		if (sp->clean_seg == seqs[i])
			sp->clean_seg = 0;
		tombs_drop(sp, seqs[i]);
	}
}

int
spool_checkpoint(struct spool *sp)
{
	struct loc at;

	if (journal_sync(sp->j) == -1)
		return -1;
	at = journal_position(sp->j);
	sp->ix.epoch = journal_epoch(sp->j);
	index_dests_sweep(&sp->ix);
	if (checkpoint_save(sp->ckpt, &sp->ix, at) == -1)
		return -1;
	sp->ckpt_at = at;
	recycle(sp);
	return 0;
}

int
spool_rewrite(struct spool *sp, struct qmsg *m)
{
	struct spool_view v;
	struct spool_message sm;
	struct bytes_out o = { 0 };
	uint32_t pending = m->flags & QM_PENDING;
	uint8_t *rcpts = NULL;
	int rv = -1;

	if (spool_view(sp, m, &v) == -1)
		return -1;
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < v.nrcpt; i++) {
			v.rcpts[i].has |= REC_R_ADDRESS;
			rec_rcpt_encode(&v.rcpts[i], &o);
		}
		if (pass == 0) {
			rcpts = malloc(o.len > 0 ? o.len : 1);
			if (rcpts == NULL)
				goto out;
			o = (struct bytes_out){ .p = rcpts, .cap = o.len };
		}
	}
	memset(&sm, 0, sizeof(sm));
	sm.rec = v.rec;
	sm.rec.nrcpt = v.nrcpt;
	sm.rec.rcpts = (struct bytes_in){ .p = rcpts, .len = o.len };
	sm.fd = -1;
	sm.data = v.rec.content;
	if (spool_room(sp, spool_message_len(&sm), 1) == -1)
		goto out;
	m = spool_put_message(sp, m->id, &sm, 0);
	if (m == NULL)
		goto out;
	m->flags = (m->flags & ~(uint32_t)QM_PENDING) | pending;
	rv = 0;
out:
	free(rcpts);
	spool_view_clear(&v);
	return rv;
}

static int
refers(const struct qmsg *m, uint32_t seg)
{
	if (m->at.seg == seg || m->flags_seg == seg)
		return 1;
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		if (m->rcpt[i].address.seg == seg || m->rcpt[i].result.seg == seg)
			return 1;
	}
	return 0;
}

static int
clean_record(struct loc at, const struct rec_header *h, const uint8_t *body, void *arg)
{
	struct spool *sp = arg;
	struct qmsg *m;

	(void)body;
	if (h->type != REC_MESSAGE && h->type != REC_STATE)
		return 0;
	m = index_find(&sp->ix, h->id);
	if (m == NULL || m->flags & QM_DEAD || !refers(m, at.seg))
		return 0;
	if (spool_rewrite(sp, m) == -1) {
		if (errno != EBADMSG)
			return -1;
		sp->clean_bad = 1; /* the segment stays for its sake */
	}
	return 0;
}

/* Copy forward a part of the emptiest segment, if there is one worth it. */
static void
clean_step(struct spool *sp)
{
	struct journal_segment s, best = { 0 };
	int rv;

	if (sp->clean_seg == 0) {
		if (sp->clean_bad)
			return;
		for (size_t i = 0; journal_segment_at(sp->j, i, &s); i++) {
			if (s.open && s.refs > 0 && s.seq < journal_position(sp->j).seg &&
			    s.live < s.size / CLEAN_LIVE &&
			    (best.seq == 0 || s.live < best.live))
				best = s;
		}
		if (best.seq == 0)
			return;
		sp->clean_seg = best.seq;
		sp->clean_off = JOURNAL_FIRST;
	}
	rv = journal_scan(
	    sp->j, sp->clean_seg, &sp->clean_off, CLEAN_STEP, clean_record, sp);
	if (rv == 0)
		return;
	sp->clean_seg = 0;
	journal_commit(sp->j, 0, NULL, NULL);
	/* The next checkpoint finds it without references. */
	if (rv == 1)
		sp->ckpt_ms = 0;
}

void
spool_tick(struct spool *sp, uint64_t now_ms)
{
	struct loc at = journal_position(sp->j);

	clean_step(sp);
	if (now_ms < sp->ckpt_retry_ms)
		return;
	if (sp->ckpt_ms == 0 || at.seg != sp->ckpt_at.seg ||
	    sp->ix.ndirty > CHECKPOINT_DIRTY ||
	    (sp->ix.ndirty > 0 && now_ms - sp->ckpt_ms > CHECKPOINT_MS)) {
		sp->ckpt_ms = now_ms;
		sp->ckpt_bad = spool_checkpoint(sp) == -1;
		if (sp->ckpt_bad) {
			log_warn("spool: no checkpoint");
			sp->ckpt_retry_ms = now_ms + CHECKPOINT_RETRY_MS;
		}
	}
}
