"""Every knob of isocost on one page: name with its unit, default, reason, range.

A value is looked up as flag, then `ISOCOST_*` in the environment, then TOML file, then the default here.
`python -m config.example` renders this page as `isocost.example.toml`; the `# ==` lines become its headings.
`repr=False` marks values that may hold a password: they are neither printed nor repeated in errors.
Only `proxy/app.py` and the command line (`proxy/cli*.py`) read Settings; everything else is given plain values.
"""

from typing import Literal, Self

import platformdirs
from pydantic import Field, SecretStr, model_validator

from config.loading import Loaded
from config.values import HttpUrl, Key, StoreUrl


class Settings(Loaded):
    """The settings of one process, checked and frozen. Made by `load_settings`; sizes and times carry their unit."""

    # == Listening
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on. Only this machine by default: isocost itself asks nobody for a key.",
    )
    port: int = Field(8400, ge=0, le=65535, description="Port to listen on. 0 takes a free one, for tests.")
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that share the port. One is enough until its core is busy; each holds its own model.",
    )

    # == Upstream
    upstream: HttpUrl = Field(
        "",
        repr=False,
        description="Base URL of the model server behind us, with or without /v1. Empty: the built-in demo model.",
    )
    upstream_key: Key = Field(
        SecretStr(""),
        repr=False,
        description="Sent as Bearer when the client sends no Authorization. Better set as ISOCOST_UPSTREAM_KEY.",
    )
    upstreams: str = Field(
        "",
        repr=False,
        description="A TOML file of several upstreams, told apart by the model's name. See "
        "config/upstreams.example.toml. `upstream` is the last of them then, for all other models. Empty: none.",
    )
    connect_retries: int = Field(
        1,
        ge=0,
        le=10,
        description="How often to try again where no connection was made. What may have run is never sent again.",
    )
    connect_timeout_s: float = Field(
        10.0, ge=0.1, le=300, description="Seconds to reach the upstream. Longer only hides that it is down."
    )
    first_byte_timeout_s: float = Field(
        600.0,
        ge=1,
        le=86400,
        description="Longest wait for an answer to begin, in seconds. Long prompts and reasoning take minutes.",
    )
    idle_timeout_s: float = Field(
        300.0, ge=1, le=86400, description="Longest silence in mid-answer, in seconds. Then the answer breaks off."
    )
    total_timeout_s: float = Field(
        7200.0, ge=1, le=864_000, description="Longest time for a whole answer, in seconds, however it trickles."
    )

    # == Store
    store: StoreUrl = Field(
        "",
        repr=False,
        description="Where conversations rest: sqlite:///path, redis://, rediss://, redis+sentinel://, "
        "redis+cluster:// or memory:// (gone at exit). Empty: an SQLite file in the user's data folder.",
    )
    store_timeout_s: float = Field(
        2.0,
        ge=0.05,
        le=60,
        description="Longest wait for the store, in seconds. Then the request goes on without memory.",
    )

    # == Prompt
    mode: Literal["auto", "passthrough", "compact"] = Field(
        "auto",
        description="auto: unchanged until the price table says that compact is cheaper, then compact. "
        "passthrough: never change a prompt. "
        "compact: from the first turn on. A request may ask otherwise with x-isocost-mode.",
    )
    context_tokens: int = Field(
        900,
        ge=0,
        le=100_000,
        description="Most tokens that isocost itself may add: memory block and recall. "
        "A request may ask otherwise with x-isocost-context-tokens.",
    )
    recall_tokens: int = Field(
        400,
        ge=0,
        le=100_000,
        description="Of these, the most for recall unless a request names its own context. "
        "Recall is never cached: each token costs ten of the window's.",
    )
    block_share: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Where a request names its own context: share, of what it holds beyond 512, that the memory block "
        "may take: exact values, rules, decisions, open errors. Frozen for an epoch; recall knows the question and "
        "gets the rest.",
    )
    window_tokens: int = Field(
        800, ge=0, le=1_000_000, description="Tokens of verbatim turns kept when an epoch begins."
    )
    epoch_tokens: int = Field(
        2000, ge=100, le=1_000_000, description="Most transcript tokens an epoch spans; the price row may say less."
    )
    full_max_tokens: int = Field(
        0,
        ge=0,
        le=100_000_000,
        description="auto compacts a longer prompt whatever it costs: for a short context. 0: only where it pays.",
    )
    block_placement: Literal["message", "system"] = Field(
        "message",
        description="message: the memory block is a system message of its own. "
        "system: it is appended to the last system message, for chat templates that take only one.",
    )

    # == Prices
    prices: str = Field(
        "",
        description="A TOML file of own price rows, which come before the built-in ones; config/prices.toml shows how "
        "a row looks. Empty: none.",
    )
    price_row: str = Field(
        "", description='Name of the price row for every model, such as "vLLM" or "llama.cpp". Empty: by model name.'
    )
    shadow_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of conversations that are forwarded unchanged while the plan is made and priced as if.",
    )
    holdout_share: float = Field(
        0.0, ge=0, le=1, description="Share of conversations that are forwarded unchanged, to compare with."
    )

    # == Memory
    short_term: int = Field(15, ge=1, le=10_000, description="Memories in the short-term tier: the current topic.")
    medium_term: int = Field(
        50, ge=1, le=10_000, description="Memories in the medium-term tier: what this conversation is about."
    )
    long_term: int = Field(
        200,
        ge=1,
        le=10_000,
        description="Memories in the long-term tier. Bounds the state; what it evicts is still found in the log.",
    )
    recall_from: Literal["log", "tiers"] = Field(
        "log",
        description="log: recall searches every turn ever said. tiers: only those that the three tiers keep, for who "
        "must forget; it finds two thirds of what the log does.",
    )
    bias: str = Field(
        "",
        repr=False,
        description="A TOML file of anchors, triggers and negative attractors: what recall leans to and avoids. "
        "See config/bias.example.toml. Empty: none.",
    )
    auto_anchor: bool = Field(
        False,
        description="Set an anchor where the topic switches, eight at most: recall leans a little to known domains.",
    )
    memory_timeout_s: float = Field(
        2.0,
        ge=0.01,
        le=60,
        description="auto: longest wait for memory, in seconds. Then the request goes through unchanged.",
    )
    compact_timeout_s: float = Field(
        30.0,
        ge=0.01,
        le=600,
        description="The same where compact was asked for: long, since an unchanged prompt may not fit the model.",
    )
    memory_cache_mib: int = Field(
        128,
        ge=0,
        le=1_048_576,
        description="MiB for the indexes of recent conversations. Others are rebuilt from the log when they return.",
    )
    learner_queue: int = Field(
        1024,
        ge=1,
        le=1_000_000,
        description="Exchanges waiting to be learned. When full, a new one is left: the client's next request "
        "carries it again.",
    )
    ack_timeout_s: float = Field(
        2.0,
        ge=0,
        le=60,
        description="Longest wait of a thin client's last byte for its log append, in seconds: nobody else holds "
        "that turn.",
    )

    # == Embedder
    embedder: str = Field(
        "builtin",
        min_length=1,
        repr=False,
        description="builtin: int8 all-MiniLM-L6-v2, in the package. Or a folder with an ONNX model, "
        "or the http(s)://.../v1 of any OpenAI-compatible embeddings server.",
    )
    embedder_model: str = Field("", description="Model name sent to an embeddings server; unused otherwise.")
    embedder_key: Key = Field(
        SecretStr(""),
        repr=False,
        description="Bearer key of the embeddings server. Better set as ISOCOST_EMBEDDER_KEY.",
    )
    embedder_threads: int = Field(
        1, ge=1, le=256, description="Threads of the local model. More than one takes cores from the proxy itself."
    )
    embed_batch_tokens: int = Field(
        2048,
        ge=512,
        le=262_144,
        description="Most tokens in one call of an embeddings server. Larger batches make single texts wait longer.",
    )
    embed_queue_tokens: int = Field(
        262_144,
        ge=512,
        le=100_000_000,
        description="Most tokens waiting for the model. Beyond it, requests go on without memory.",
    )
    embed_cache_mib: int = Field(
        8, ge=0, le=65_536, description="MiB of vectors kept by digest, so that no text is embedded twice."
    )
    embed_timeout_s: float = Field(
        30.0, ge=0.1, le=600, description="Longest wait for an embeddings server's answer, in seconds."
    )

    # == Limits and shutdown
    body_mib_max: int = Field(
        32, ge=1, le=1024, description="Largest request body, in MiB. It is held in memory: images fit, floods do not."
    )
    answer_mib_max: int = Field(
        16,
        ge=1,
        le=1024,
        description="Largest answer that is read along to be learned, in MiB. Longer ones are relayed, not learned.",
    )
    requests_max: int = Field(
        2000, ge=1, le=1_000_000, description="Requests under way at once. One more gets 503 and a retry-after."
    )
    requests_each_max: int = Field(
        0, ge=0, le=1_000_000, description="The same for one credential, which gets 429. 0: no bound of its own."
    )
    drain_timeout_s: float = Field(
        10.0,
        ge=0,
        le=600,
        description="Seconds that open answers get after SIGTERM, and then the learner: both below Kubernetes' 30.",
    )

    # == Watching
    log_level: Literal["critical", "error", "warning", "info", "debug"] = Field(
        "info", description="Least level that is logged. No level logs message text or keys."
    )
    metrics: bool = Field(True, description="Serve /metrics for Prometheus.")

    @property
    def store_url(self) -> str:
        """`store`, or the URL of the SQLite file in the user's data folder."""
        if self.store:
            return self.store
        return f"sqlite:///{(platformdirs.user_data_path('isocost') / 'isocost.sqlite').as_posix()}"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.workers > 1 and self.store.startswith("memory://"):
            raise ValueError(f"workers = {self.workers} needs a store that all see; memory:// is each worker's own")
        if self.embed_queue_tokens < self.embed_batch_tokens:
            raise ValueError("embed_queue_tokens should be at least embed_batch_tokens, or no batch ever fills")
        if self.shadow_share + self.holdout_share > 1:
            raise ValueError("shadow_share and holdout_share are shares of one whole: they should sum to at most 1")
        return self


load_settings = Settings.load
