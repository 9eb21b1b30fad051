// attention_impl.h for any processor.
#include "anemone/kernels/attention/attention_impl.h"
