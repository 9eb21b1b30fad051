// elementwise_impl.h for any processor.
#include "anemone/kernels/elementwise/elementwise_impl.h"
