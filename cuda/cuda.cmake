# The modules made of cuda/*.cu: `_cuda` by nvcc, and `_cuda_host`, their emulation, by the C++ compiler.
#
# AUTO builds `_cuda` where nvcc is found, but only once this says that the module is whole: every family is there, and
# `make gpu-check` has passed on a GPU. Until then it is for those who ask for it by ON or pip.
set(cuda_is_whole OFF)

set(cuda_families)
set(cuda_missing)
set(cuda_sources cuda/stream.cu cuda/memory.cu)
set(cuda_bind_families)
foreach(family IN LISTS families)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/cuda/${family}.cu)
    list(APPEND cuda_families ${family})
    list(APPEND cuda_sources cuda/${family}.cu)
  else()
    list(APPEND cuda_missing ${family})
  endif()
endforeach()
set(cuda_binding_sources ${binding_sources})
foreach(family IN LISTS cuda_missing)
  list(REMOVE_ITEM cuda_binding_sources csrc/bind/${family}.cpp)
endforeach()
list(TRANSFORM cuda_families REPLACE "(.+)" "FAMILY(\\1)" OUTPUT_VARIABLE cuda_bind_families)
string(REPLACE ";" " " cuda_bind_families "${cuda_bind_families}")
string(REPLACE ";" " " cuda_missing "${cuda_missing}")

# The binding of a device module `name` of namespace `device`, from the families that there are.
function(dlcore_cuda_module name device)
  pybind11_add_module(${name} MODULE NO_EXTRAS ${cuda_binding_sources})
  target_compile_definitions(${name} PRIVATE DLCORE_DEVICE=${device} DLCORE_MODULE=${name}
    "DLCORE_FAMILIES=${cuda_bind_families}")
  target_compile_options(${name} PRIVATE -Os -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
    $<$<BOOL:${DLCORE_WERROR}>:-Werror>)
  target_precompile_headers(${name} PRIVATE <pybind11/pybind11.h>)
  target_link_options(${name} PRIVATE LINKER:--gc-sections $<$<CONFIG:Release>:LINKER:-s>
    LINKER:--version-script=${CMAKE_CURRENT_SOURCE_DIR}/csrc/exports.map)
  set_target_properties(${name} PROPERTIES LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/csrc/exports.map)
endfunction()

if(DLCORE_CUDA_HOST)
  # Not installed: tests name its path (DLCORE_CUDA_HOST).
  set(emulated_sources ${cuda_sources} cuda/emulate/emulate.cpp)
  set_source_files_properties(${cuda_sources} cuda/emulate/selftest.cu PROPERTIES LANGUAGE CXX)
  add_library(kernels_cuda_host OBJECT ${emulated_sources})
  set_target_properties(kernels_cuda_host PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_compile_definitions(kernels_cuda_host PRIVATE DLCORE_DEVICE=cuda_host)
  # -x c++: the compiler does not know .cu. A stack protector and _FORTIFY_SOURCE do not know fibers.
  target_compile_options(kernels_cuda_host PRIVATE -O2 -x c++ -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
    -Wno-unknown-pragmas -U_FORTIFY_SOURCE $<$<BOOL:${DLCORE_WERROR}>:-Werror>)
  dlcore_cuda_module(_cuda_host cuda_host)
  target_link_libraries(_cuda_host PRIVATE kernels_cuda_host)

  add_executable(cuda_host_selftest cuda/emulate/selftest.cu)
  target_compile_definitions(cuda_host_selftest PRIVATE DLCORE_DEVICE=cuda_host)
  target_compile_options(cuda_host_selftest PRIVATE -O2 -x c++ -Wall -Wextra)
  target_link_libraries(cuda_host_selftest PRIVATE kernels_cuda_host)
  message(STATUS "dlcore: building _cuda_host, the emulation of _cuda${cuda_missing_text}")
endif()

if(DLCORE_CUDA STREQUAL "OFF")
  message(STATUS "dlcore: leaving out _cuda: DLCORE_CUDA is OFF")
  return()
elseif(DLCORE_CUDA STREQUAL "AUTO" AND NOT cuda_is_whole)
  if(cuda_missing)
    message(STATUS "dlcore: leaving out _cuda: it has no ${cuda_missing} yet; DLCORE_CUDA=ON builds what there is")
  else()
    message(STATUS "dlcore: leaving out _cuda: it has not run on a GPU yet; DLCORE_CUDA=ON builds it")
  endif()
  return()
elseif(NOT DLCORE_CUDA MATCHES "^(AUTO|ON|pip)$")
  message(FATAL_ERROR "DLCORE_CUDA: '${DLCORE_CUDA}' is not one of AUTO, ON, OFF, pip")
endif()

if(DLCORE_CUDA STREQUAL "pip")
  # From the environment of the build; see docs and pyproject.toml for the packages.
  execute_process(COMMAND ${Python_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/tools/pip_nvcc.py
    ${CMAKE_CURRENT_BINARY_DIR}/cuda_toolkit OUTPUT_VARIABLE CMAKE_CUDA_COMPILER OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "DLCORE_CUDA=pip: the compiler packages could not be had")
  endif()
endif()
if(DLCORE_CUDA_ARCH)
  set(CMAKE_CUDA_ARCHITECTURES ${DLCORE_CUDA_ARCH}-real)
else()
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100-real 120-real 120-virtual)
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(DLCORE_CUDA STREQUAL "AUTO")
    message(STATUS "dlcore: leaving out _cuda: no nvcc was found")
    return()
  endif()
  message(FATAL_ERROR "DLCORE_CUDA=ON needs nvcc 12.4 to 13.x, and none was found. Put it on PATH (or name it by "
    "CUDACXX); the CUDA toolkit has it: https://developer.nvidia.com/cuda-downloads. DLCORE_CUDA=pip takes it from the "
    "packages nvidia-cuda-nvcc, -crt, -runtime, -cccl and nvidia-nvvm of PyPI.")
endif()
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.4 OR CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 14)
  message(FATAL_ERROR "dlcore: nvcc ${CMAKE_CUDA_COMPILER_VERSION} at ${CMAKE_CUDA_COMPILER} is not 12.4 to 13.x")
endif()
if(NOT DLCORE_CUDA_ARCH AND CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.8)  # knows neither 100 nor 120
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual)
endif()

add_library(kernels_cuda OBJECT ${cuda_sources})
set_target_properties(kernels_cuda PROPERTIES POSITION_INDEPENDENT_CODE ON CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON
  CUDA_RUNTIME_LIBRARY Static CUDA_VISIBILITY_PRESET hidden)
target_compile_definitions(kernels_cuda PRIVATE DLCORE_DEVICE=cuda)
target_compile_options(kernels_cuda PRIVATE -Xptxas=-v)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.9)
  target_compile_options(kernels_cuda PRIVATE --compress-mode=size)
endif()
dlcore_cuda_module(_cuda cuda)
set_target_properties(_cuda PROPERTIES CUDA_RUNTIME_LIBRARY Static LINKER_LANGUAGE CUDA)
target_link_libraries(_cuda PRIVATE kernels_cuda)
install(TARGETS _cuda LIBRARY DESTINATION dlcore)
message(STATUS "dlcore: building _cuda by nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
if(cuda_missing)
  message(WARNING "dlcore: _cuda has no ${cuda_missing} yet: it is for the tests of what there is")
endif()
