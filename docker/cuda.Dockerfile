# docker build -f docker/cuda.Dockerfile -t previt:cuda .
# docker run --rm --gpus all -v "$PWD:/work" previt:cuda pretrain --recipe mae.yaml
# The CUDA libraries are those that come with LibTorch; the host brings the driver (NVIDIA container toolkit).
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip ca-certificates
WORKDIR /previt
COPY tools/setup.sh tools/
RUN PREVIT_GPU=yes tools/setup.sh
COPY . .
RUN cmake --preset release -DPREVIT_BUILD_TESTS=OFF && cmake --build --preset release && \
    cmake --install build/release --prefix /opt/previt --strip && rm -r /opt/previt/lib/previt

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends libboost-program-options1.74.0 libhdf5-103-1 \
      libjpeg62-turbo libpng16-16 libtiff6 libwebp7 libxxhash0 libyaml-cpp0.7 && rm -rf /var/lib/apt/lists/*
# At their places in the build, where the programs look for them.
COPY --from=build /previt/.deps/python/torch/lib /previt/.deps/python/torch/lib
COPY --from=build /previt/.deps/python/nvidia /previt/.deps/python/nvidia
COPY --from=build /opt/previt /opt/previt
ENV PATH=/opt/previt/bin:$PATH NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /work
CMD ["pretrain", "--help"]
