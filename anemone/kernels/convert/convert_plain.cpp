// convert_impl.h for any processor.
#include "anemone/kernels/convert/convert_impl.h"
