# The modules made of cuda/*.cu: `_cuda` by nvcc, and `_cuda_host`, their emulation, by the C++ compiler.
#
# Their bindings are the same code, compiled once: but for what bears the module's name, `_cuda_host` takes those of
# `_cuda` where that is built.
set(cuda_sources cuda/stream.cu cuda/memory.cu cuda/graph.cu)
foreach(family IN LISTS families)
  list(APPEND cuda_sources cuda/${family}.cu)
endforeach()

# A device module of bindings `ARGN` and the object library `kernels`.
function(dlcore_cuda_module name kernels)
  pybind11_add_module(${name} MODULE NO_EXTRAS ${ARGN})
  target_link_libraries(${name} PRIVATE ${kernels})
  target_compile_definitions(${name} PRIVATE DLCORE_DEVICE=cuda DLCORE_MODULE=${name})
  target_compile_options(${name} PRIVATE -Os -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
    $<$<BOOL:${DLCORE_WERROR}>:-Werror>)
  target_precompile_headers(${name} PRIVATE <pybind11/pybind11.h>)
  target_link_options(${name} PRIVATE LINKER:--gc-sections $<$<CONFIG:Release>:LINKER:-s>
    LINKER:--version-script=${CMAKE_CURRENT_SOURCE_DIR}/csrc/exports.map)
  set_target_properties(${name} PROPERTIES LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/csrc/exports.map)
endfunction()

include(cuda/nvcc.cmake)
if(DLCORE_CUDA_HOST)
  include(cuda/emulate/emulate.cmake)
endif()
