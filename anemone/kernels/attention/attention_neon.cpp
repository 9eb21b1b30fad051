// attention_impl.h for NEON.
#include "anemone/kernels/attention/attention_impl.h"
