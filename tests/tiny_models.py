"""Pipelines of diffusers with random networks of a few thousand parameters, built without the Hub and saved as the large ones are."""

import gc
from pathlib import Path
from typing import Any

import torch

SPECIAL = ("<pad>", "</s>", "<unk>", "<s>")


def wake(network: torch.nn.Module) -> list[str]:
    """Give noise to parameters that start at zero, through which a fresh network would not see what it is told; their names."""
    generator = torch.Generator().manual_seed(1)
    woken = []
    for name, parameter in network.named_parameters():
        if parameter.numel() and not parameter.detach().any():
            parameter.data.normal_(std=0.05, generator=generator)
            woken.append(name)
    return woken


def letters(*extra: str, chat: bool = False) -> Any:
    """A tokenizer of one token a letter."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [*SPECIAL, *map(chr, range(32, 127))]
    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    raw.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", bos_token="<s>"
    )
    if extra:
        made.add_special_tokens({"additional_special_tokens": list(extra)})
    if chat:
        made.chat_template = (
            "{% for m in messages %}{% if m['content'] is string %}{{ m['content'] }}{% else %}"
            "{% for c in m['content'] %}{{ c['text'] }}{% endfor %}{% endif %}{% endfor %}"
        )
    return made


def _wan_parts() -> dict[str, Any]:
    """What pipelines of Wan have in common."""
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler
    from transformers import UMT5Config, UMT5EncoderModel

    torch.manual_seed(0)
    words = UMT5Config(
        vocab_size=128, d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4, relative_attention_num_buckets=8
    )  # fmt: skip
    return {
        "tokenizer": letters(),
        "text_encoder": UMT5EncoderModel(words).eval(),
        "vae": AutoencoderKLWan(
            base_dim=3,
            z_dim=16,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
        ).eval(),
        "scheduler": UniPCMultistepScheduler(
            flow_shift=3.0, prediction_type="flow_prediction", use_flow_sigmas=True
        ),
    }


WAN: dict[str, Any] = {
    "patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 12, "out_channels": 16, "text_dim": 32,
    "freq_dim": 256, "ffn_dim": 32, "cross_attn_norm": True, "qk_norm": "rms_norm_across_heads", "rope_max_seq_len": 32,
}  # fmt: skip


def wan_vace() -> Any:
    from diffusers import WanVACEPipeline, WanVACETransformer3DModel

    parts = _wan_parts()
    network = WanVACETransformer3DModel(
        in_channels=16, num_layers=3, vace_layers=[0, 2], vace_in_channels=96, **WAN
    ).eval()
    assert len(wake(network)) == 5
    return WanVACEPipeline(transformer=network, **parts)


def wan_image_to_video(*, image_encoder: bool) -> Any:
    """Wan 2.1 has an encoder of pictures besides, Wan 2.2 has none."""
    from diffusers import WanImageToVideoPipeline, WanTransformer3DModel
    from transformers import CLIPVisionConfig, CLIPVisionModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    parts = _wan_parts()
    seen = {}
    if image_encoder:
        looks = CLIPVisionConfig(
            hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=16
        )  # fmt: skip
        seen = {"image_dim": 32, "pos_embed_seq_len": 2 * 5}  # patches and class of two pictures
        parts |= {
            "image_encoder": CLIPVisionModel(looks).eval(),
            "image_processor": CLIPImageProcessorPil(
                size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
            ),
        }
    network = WanTransformer3DModel(in_channels=36, num_layers=2, **seen, **WAN).eval()
    wake(network)
    return WanImageToVideoPipeline(transformer=network, **parts)


def sana_wm() -> Any:
    from diffusers import (
        AutoencoderKLLTX2Video,
        FlowMatchEulerDiscreteScheduler,
        SanaWMPipeline,
        SanaWMTransformer3DModel,
    )
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    decoder = AutoencoderKLLTX2Video(
        latent_channels=8, block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 16, 32),
        layers_per_block=(1,) * 5, decoder_layers_per_block=(1,) * 4, spatial_compression_ratio=32,
        temporal_compression_ratio=8,
    )  # fmt: skip
    words = Gemma2Config(
        vocab_size=128, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16,
    )  # fmt: skip
    network = SanaWMTransformer3DModel(
        in_channels=8, num_layers=2, hidden_size=64, num_attention_heads=2, linear_head_dim=32, caption_channels=32,
        chunk_plucker_post_attn_blocks=2,
    ).eval()  # fmt: skip
    assert len(wake(network)) >= 6
    return SanaWMPipeline(
        tokenizer=letters(),
        text_encoder=Gemma2ForCausalLM(words).eval(),
        vae=decoder.eval(),
        transformer=network,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


def cosmos3() -> Any:
    from diffusers import Cosmos3OmniPipeline, Cosmos3OmniTransformer, UniPCMultistepScheduler

    torch.manual_seed(0)
    network = Cosmos3OmniTransformer(
        action_gen=True, action_dim=64, num_embodiment_domains=32, head_dim=6, hidden_act="relu2", hidden_size=12,
        intermediate_size=24, latent_channel=16, latent_patch_size=1, num_attention_heads=2, num_hidden_layers=2,
        num_key_value_heads=1, patch_latent_dim=16, qk_norm_for_text=False, rms_norm_eps=1e-5, rope_axes_dim=[1, 1, 1],
        vocab_size=256,
    ).eval()  # fmt: skip
    assert wake(network)
    return Cosmos3OmniPipeline(
        transformer=network,
        text_tokenizer=letters("<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|im_start|>", chat=True),
        vae=_wan_parts()["vae"],
        scheduler=UniPCMultistepScheduler(),
        enable_safety_checker=False,
    )


def saved(pipeline: Any, folder: Path) -> Path:
    """A folder as users have them."""
    pipeline.save_pretrained(folder)
    gc.collect()
    return folder
