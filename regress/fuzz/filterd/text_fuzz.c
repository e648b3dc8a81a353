/* SPDX-License-Identifier: ISC */
/* The decoded text of any message: within its bound, ended by NUL, valid UTF-8. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/encoding.h"
#include "filterd/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t max, out_len;
	char *message, *text;

	if (len < 1 || (message = malloc(len)) == NULL)
		return 0;
	max = (size_t)(data[0] & 0x7f) * 64;
	if (data[0] & 0x80)
		max = FILTER_TEXT_MAX;
	memcpy(message, data + 1, len - 1);
	if ((text = filter_text(message, len - 1, max, &out_len)) != NULL) {
		if (out_len > max || text[out_len] != '\0' || !utf8_valid(text, out_len))
			abort();
		free(text);
	}
	free(message);
	return 0;
}
