# mmsearch with the CPU build of PyTorch. The store is kept in /store, downloaded models in /models.
FROM python:3.12-slim

# PyTorch's wheels for CPUs need no CUDA libraries, which are four times as large.
COPY constraints.txt /src/
RUN pip install --no-cache-dir -c /src/constraints.txt torch torchvision \
    --index-url https://download.pytorch.org/whl/cpu

COPY . /src
RUN pip install --no-cache-dir -c /src/constraints.txt /src && rm -rf /src

RUN useradd --create-home user && install -d -o user /store /models /data
USER user
ENV MMSEARCH_STORE=/store HF_HOME=/models
WORKDIR /data
ENTRYPOINT ["mmsearch"]
CMD ["--help"]
