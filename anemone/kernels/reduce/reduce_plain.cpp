// reduce_impl.h for any processor.
#include "anemone/kernels/reduce/reduce_impl.h"
