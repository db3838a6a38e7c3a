# docker build -t isocost . && docker run -p 8400:8400 -v isocost:/data -e ISOCOST_UPSTREAM=https://... isocost
# The embedding model and the vocabularies are inside: the container needs no network but its upstream's.

FROM python:3.12-slim AS build
RUN python -m venv /opt/isocost
ENV PATH=/opt/isocost/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# Dependencies in a layer of their own: it is built again only after pyproject.toml changed.
COPY pyproject.toml .
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
    > /tmp/requirements.txt && pip install -r /tmp/requirements.txt
COPY README.md LICENSE NOTICE ./
COPY proxy proxy
COPY memory_core memory_core
COPY embedders embedders
COPY config config
RUN pip install --no-deps .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /data isocost \
    && install -d -o isocost -g isocost /data
COPY --from=build /opt/isocost /opt/isocost
COPY LICENSE NOTICE /usr/share/doc/isocost/
ENV PATH=/opt/isocost/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ISOCOST_HOST=0.0.0.0 \
    ISOCOST_STORE=sqlite:////data/isocost.sqlite
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8400
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('ISOCOST_PORT', '8400')}/healthz\", timeout=2)"]
ENTRYPOINT ["isocost"]
CMD ["serve"]
