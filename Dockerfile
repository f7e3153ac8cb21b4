# IterPref with its tests' tools. Inside Docker's default profile the sandbox stands on the rung `landlock`; for `zygote`:
#   docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined ...
# `iterpref doctor` says what was reached.
FROM python:3.12-slim

RUN useradd --create-home iterpref
WORKDIR /opt/iterpref
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
# torch first and alone, as in the Makefile: nothing else then pulls a build of several gigabytes.
RUN pip install --no-cache-dir --constraint constraints.txt torch \
    && pip install --no-cache-dir --constraint constraints.txt '.[train]'

USER iterpref
WORKDIR /home/iterpref
ENTRYPOINT ["iterpref"]
CMD ["doctor"]
