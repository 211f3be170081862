# _cuda, by nvcc: DLCORE_CUDA says whether, and where nvcc comes from.
if(DLCORE_CUDA STREQUAL "OFF")
  message(STATUS "dlcore: leaving out _cuda: DLCORE_CUDA is OFF")
  return()
elseif(NOT DLCORE_CUDA MATCHES "^(AUTO|ON|pip)$")
  message(FATAL_ERROR "DLCORE_CUDA: '${DLCORE_CUDA}' is not one of AUTO, ON, OFF, pip")
endif()

if(DLCORE_CUDA STREQUAL "pip")
  # The compiler packages that pyproject.toml adds to the build's requirements where the environment says
  # DLCORE_CUDA=pip: nvcc and its parts, in site-packages/nvidia/cu13. Their libraries are in lib, which their nvcc does
  # not look through.
  execute_process(COMMAND ${Python_EXECUTABLE} -c "import nvidia.cu13; print(next(iter(nvidia.cu13.__path__)))"
    OUTPUT_VARIABLE cuda_root OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT EXISTS "${cuda_root}/bin/nvcc" OR NOT EXISTS "${cuda_root}/nvvm/bin/cicc")
    message(FATAL_ERROR "DLCORE_CUDA=pip needs nvidia-cuda-nvcc, nvidia-cuda-crt, nvidia-cuda-runtime, "
      "nvidia-cuda-cccl and nvidia-nvvm 13.0.* in the Python environment of the build, and they were not found. "
      "With DLCORE_CUDA=pip in the environment of `pip wheel` or `python -m build` they come by themselves; with "
      "--no-build-isolation they must be installed before.")
  endif()
  set(CMAKE_CUDA_COMPILER ${cuda_root}/bin/nvcc)
  set(CMAKE_CUDA_FLAGS "-L${cuda_root}/lib ${CMAKE_CUDA_FLAGS}")
endif()
include(CheckLanguage)
if(NOT CMAKE_CUDA_COMPILER)
  check_language(CUDA)
endif()
if(NOT CMAKE_CUDA_COMPILER)
  if(DLCORE_CUDA STREQUAL "AUTO")
    message(STATUS "dlcore: leaving out _cuda: no nvcc was found")
    return()
  endif()
  message(FATAL_ERROR "DLCORE_CUDA=ON needs nvcc 12.4 to 13.x, and none was found. Put it on PATH (or name it by "
    "CUDACXX); the CUDA toolkit has it: https://developer.nvidia.com/cuda-downloads. Or set DLCORE_CUDA=pip in the "
    "environment of `pip install` or `python -m build`, which then takes NVIDIA's compiler packages from PyPI.")
endif()
if(DLCORE_CUDA_ARCH)
  set(CMAKE_CUDA_ARCHITECTURES ${DLCORE_CUDA_ARCH}-real)
else()
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100-real 120-real 120-virtual)
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc 12 and later have C++20
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.4 OR CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 14)
  set(cuda_problem "nvcc ${CMAKE_CUDA_COMPILER_VERSION} at ${CMAKE_CUDA_COMPILER} is not 12.4 to 13.x")
  if(DLCORE_CUDA STREQUAL "AUTO")
    message(STATUS "dlcore: leaving out _cuda: ${cuda_problem}")
    return()
  endif()
  message(FATAL_ERROR "dlcore: ${cuda_problem}")
endif()
if(NOT DLCORE_CUDA_ARCH AND CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.8)  # knows neither 100 nor 120
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual)
endif()

add_library(kernels_cuda OBJECT ${cuda_sources})
set_target_properties(kernels_cuda PROPERTIES POSITION_INDEPENDENT_CODE ON CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON
  CUDA_RUNTIME_LIBRARY Static CUDA_VISIBILITY_PRESET hidden)
target_compile_definitions(kernels_cuda PRIVATE DLCORE_DEVICE=cuda)
target_compile_options(kernels_cuda PRIVATE --expt-relaxed-constexpr $<$<BOOL:${DLCORE_CUDA_REPORT}>:-Xptxas=-v>)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.9)
  target_compile_options(kernels_cuda PRIVATE --compress-mode=size)
endif()
dlcore_cuda_module(_cuda kernels_cuda)
# Not by find_package(CUDAToolkit), which asks for libraries that the compiler packages of PyPI do not have.
find_library(DLCORE_CUDART cudart_static REQUIRED
  HINTS ${cuda_root}/lib ${CMAKE_CUDA_IMPLICIT_LINK_DIRECTORIES} ${CMAKE_CUDA_HOST_IMPLICIT_LINK_DIRECTORIES})
find_package(Threads REQUIRED)
set_target_properties(_cuda PROPERTIES LINKER_LANGUAGE CXX)
target_link_libraries(_cuda PRIVATE ${DLCORE_CUDART} Threads::Threads ${CMAKE_DL_LIBS} rt)
install(TARGETS _cuda LIBRARY DESTINATION dlcore)
string(REPLACE ";" ", " cuda_targets "${CMAKE_CUDA_ARCHITECTURES}")
message(STATUS "dlcore: building _cuda by nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${cuda_targets}")
