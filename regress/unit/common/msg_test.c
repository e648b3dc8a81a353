/* SPDX-License-Identifier: ISC */
/* The catalogue: order, round trips, truncation at every length, surplus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/compat/compat.h"
#include "common/msg.h"

static const uint8_t some_bytes[16384];

/* Fill every payload with values that fill its bounds, from the same table. */
static void
fill_str(char *s, size_t max, unsigned int *seed)
{
	size_t len = (*seed)++ % 3 == 0 ? max : *seed % (max + 1);

	memset(s, 'a' + (int)(*seed % 26), len);
	s[len] = '\0';
}

#define F_U8(n) p->n = (uint8_t)(*seed)++;
#define F_U16(n) p->n = (uint16_t)((*seed)++ * 257);
#define F_U32(n) p->n = (*seed)++ * 65537u;
#define F_U64(n) p->n = (uint64_t)(*seed)++ * 0x100000001ull;
#define F_I64(n) p->n = -(int64_t)(*seed)++;
#define F_STR(n, max) fill_str(p->n, max, seed);
#define F_BYTES(n, max)    \
	p->n = some_bytes; \
	p->n##_len = (*seed)++ % ((max) + 1);
#define PAYLOAD(name, fields)                                             \
	static void fill_##name(struct msg_##name *p, unsigned int *seed) \
	{                                                                 \
		(void)p;                                                  \
		(void)seed;                                               \
		fields                                                    \
	}
#include "common/payload.def"
#undef PAYLOAD
#undef F_U8
#undef F_U16
#undef F_U32
#undef F_U64
#undef F_I64
#undef F_STR
#undef F_BYTES

#define F_U8(n) assert_true(a->n == b->n);
#define F_U16(n) assert_true(a->n == b->n);
#define F_U32(n) assert_true(a->n == b->n);
#define F_U64(n) assert_true(a->n == b->n);
#define F_I64(n) assert_true(a->n == b->n);
#define F_STR(n, max) assert_string_equal(a->n, b->n);
#define F_BYTES(n, max)                        \
	assert_true(a->n##_len == b->n##_len); \
	assert_memory_equal(a->n, b->n, a->n##_len);
#define PAYLOAD(name, fields)                                                           \
	static void same_##name(const struct msg_##name *a, const struct msg_##name *b) \
	{                                                                               \
		(void)a;                                                                \
		(void)b;                                                                \
		fields                                                                  \
	}
#include "common/payload.def"
#undef PAYLOAD

static void
table_is_in_order(void **state)
{
	const struct msg_info *info, *last = NULL;

	for (size_t i = 0; (info = msg_info_at(i)) != NULL; i++) {
		if (last != NULL)
			assert_true(info->type > last->type);
		assert_ptr_equal(msg_info((uint32_t)info->type), info);
		assert_true(info->from != 0 && info->to != 0);
		/* Only HELLO goes from everybody to everybody. */
		if (info->type != MSG_ANY_HELLO)
			assert_false(info->from == ~0u && info->to == ~0u);
		last = info;
	}
	assert_null(msg_info(0));
	assert_null(msg_info(99999));
	assert_string_equal(msg_name(99999), "unknown");
}

static void
round_trip(enum msg_type type, const void *payload, struct msg *out, struct ibuf **keep)
{
	struct ibuf *b = ibuf_dynamic(64, 65536), view;
	size_t len;

	assert_int_equal(msg_encode(type, 77, payload, b), 0);
	ibuf_from_ibuf(&view, b);
	len = ibuf_size(&view);
	assert_int_equal(msg_decode(type, &view, out), 0);
	assert_true(out->id == 77 && out->type == type);
	/* Cut at every length, and one octet too many: never accepted. */
	for (size_t n = 0; n<len; n += len> 2000 && n > 64 && n < len - 64 ? 61 : 1) {
		struct msg cut;
		uint8_t *copy = malloc(n + 1); /* exact, so that ASan sees overreads */

		memcpy(copy, ibuf_data(b), n);
		ibuf_from_buffer(&view, copy, n);
		assert_int_equal(msg_decode(type, &view, &cut), -1);
		free(copy);
	}
	assert_int_equal(ibuf_add_n8(b, 0), 0);
	ibuf_from_ibuf(&view, b);
	{
		struct msg more;

		assert_int_equal(msg_decode(type, &view, &more), -1);
	}
	*keep = b;
}

static void
every_message_round_trips(void **state)
{
	unsigned int seed = 1;

	for (int round = 0; round < 4; round++) {
#define MSG(num, name, from, to, payload, flags)                     \
	{                                                            \
		struct msg_##payload *p = calloc(1, sizeof(*p) + 1); \
		struct msg *m = calloc(1, sizeof(*m));               \
		struct ibuf *keep;                                   \
		fill_##payload(p, &seed);                            \
		round_trip(MSG_##name, p, m, &keep);                 \
		same_##payload(p, &m->p.payload);                    \
		ibuf_free(keep);                                     \
		free(p);                                             \
		free(m);                                             \
	}
#include "common/msg.def"
#undef MSG
	}
}

static void
bounds_are_kept(void **state)
{
	struct ibuf *b = ibuf_dynamic(64, 65536), view;
	struct msg_domain d;
	struct msg m;
	uint8_t nul[11] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 };
	uint8_t big[8 + 2 + 300] = { 0 };

	memset(d.domain, 'x', sizeof(d.domain)); /* no NUL within the bound */
	assert_int_equal(msg_encode(MSG_QUEUED_AUTHD_ROUTE, 1, &d, b), -1);
	ibuf_free(b);
	/* a NUL inside, and a length above the bound with all its octets */
	ibuf_from_buffer(&view, nul, sizeof(nul));
	assert_int_equal(msg_decode(MSG_QUEUED_AUTHD_ROUTE, &view, &m), -1);
	memset(big + 10, 'x', 300);
	big[8] = 300 >> 8;
	big[9] = 300 & 0xff;
	ibuf_from_buffer(&view, big, sizeof(big));
	assert_int_equal(msg_decode(MSG_QUEUED_AUTHD_ROUTE, &view, &m), -1);
}

static void
answers_belong_to_requests(void **state)
{
	const struct msg_info *i;

	assert_true(msg_answers(MSG_FRONT_AUTHD_SASL, MSG_AUTHD_FRONT_SASL_RESULT));
	assert_false(msg_answers(MSG_FRONT_AUTHD_SASL, MSG_AUTHD_SMTPD_RCPT_CLASS));
	assert_true(msg_answers(MSG_LDELIVER_AUTHD_RESOLVE, MSG_AUTHD_LDELIVER_TARGET));
	assert_true(msg_answers(MSG_LDELIVER_AUTHD_RESOLVE, MSG_AUTHD_LDELIVER_RESOLVED));
	assert_false(msg_answers(MSG_LDELIVER_AUTHD_RESOLVE, MSG_AUTHD_LDELIVER_OPENING));
	for (enum msg_type t = MSG_AUTHD_MBOXD_CREATE; t <= MSG_AUTHD_MBOXD_REMOVE; t++)
		assert_true(msg_answers(t, MSG_MBOXD_AUTHD_DONE));
	assert_true(msg_answers(MSG_SMTPD_QUEUED_BEGIN, MSG_QUEUED_SMTPD_OPENED));
	assert_false(msg_answers(MSG_SMTPD_QUEUED_BEGIN, MSG_QUEUED_SMTPD_COMMITTED));
	/* Every answer has a request above it that goes the other way. */
	for (size_t n = 0; (i = msg_info_at(n)) != NULL; n++) {
		int found = 0;

		if (!(i->flags & MSG_F_ANSWER))
			continue;
		for (size_t k = 0; k < n; k++) {
			const struct msg_info *r = msg_info_at(k);

			if (msg_answers(r->type, i->type) && (r->from & i->to) != 0 &&
			    (r->to & i->from) != 0)
				found = 1;
		}
		assert_true(found);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_in_order),
		cmocka_unit_test(every_message_round_trips),
		cmocka_unit_test(answers_belong_to_requests),
		cmocka_unit_test(bounds_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
