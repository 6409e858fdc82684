"""What the splat engine is measured against."""
